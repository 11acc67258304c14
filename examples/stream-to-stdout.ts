// Writes the largest file of a torrent to standard output during the download.
//   node dist/examples/stream-to-stdout.js <source> [peer] | mpv -
import { pipeline } from 'node:stream/promises'
import { Client } from 'piecewise'

const [source = '', ...peers] = process.argv.slice(2)
const client = new Client({ host: process.env['HOST'] })
const torrent = await client.add(source, { peers, select: 'none' })
const [largest] = [...torrent.files].sort((a, b) => b.length - a.length)
if (largest === undefined) throw new Error('the torrent has no files')
console.error(`${largest.path}: ${largest.length} bytes`)
// Standard output belongs to the process and must stay open.
await pipeline(largest.createReadStream(), process.stdout, { end: false })
await client.close()
