// Asks a tracker for the peers of a torrent, without a client and without the torrent.
//   node dist/examples/list-peers.js <tracker> <info hash> [how many]
import { randomBytes } from 'node:crypto'
import { announce } from 'piecewise/tracker'

const [url = '', infoHash = '', count = '10'] = process.argv.slice(2)
const request = { infoHash: Buffer.from(infoHash, 'hex'), peerId: randomBytes(20), port: 6881 }
const options = { onWarning: (warning: Error) => console.error(warning.message) }
let left = Number(count)
for await (const { host, port } of announce(url, request, options)) {
  console.log(`${host}:${port}`)
  // Leaving the loop sends `stopped` to the tracker, and closes everything.
  if (--left <= 0) break
}
