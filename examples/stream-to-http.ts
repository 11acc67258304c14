// Serves a file of a torrent over HTTP during the download. `piecewise/server` does more; this shows how little is needed.
//   node dist/examples/stream-to-http.js <source> [peer]
import { once } from 'node:events'
import { createServer } from 'node:http'
import { pipeline } from 'node:stream'
import { Client } from 'piecewise'

const [source = '', ...peers] = process.argv.slice(2)
const client = new Client({ host: process.env['HOST'] })
const torrent = await client.add(source, { peers })
const [file] = torrent.files
if (file === undefined) throw new Error('the torrent has no files')

const server = createServer((request, response) => {
  // One range, as players request it: bytes=1000-, bytes=1000-1999.
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const start = Number(first ?? 0)
  const end = Math.min(Number(last || file.length - 1), file.length - 1)
  if (start > end) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` }).end()
    return
  }
  response.writeHead(first === undefined ? 200 : 206, {
    'content-type': file.type,
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    ...(first === undefined ? {} : { 'content-range': `bytes ${start}-${end}/${file.length}` })
  })
  if (request.method === 'HEAD') response.end()
  else pipeline(file.createReadStream({ start, end }), response, () => {})
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const address = server.address()
if (typeof address === 'object' && address !== null) console.log(`http://127.0.0.1:${address.port}/`)

process.once('SIGTERM', async () => {
  server.close()
  server.closeAllConnections()
  await client.close()
})
