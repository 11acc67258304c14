// Talks to one peer over a socket: exchanges handshakes and requests the first block of a torrent.
//   node dist/examples/wire-over-socket.js <file.torrent> <host> <port>
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { parseTorrent } from 'piecewise/metainfo'
import { Wire } from 'piecewise/wire'

const [path = '', host = '', port = ''] = process.argv.slice(2)
const { infoHashes, pieces, pieceLength, length } = parseTorrent(await readFile(path))
if (infoHashes.v1 === undefined) throw new Error('the torrent has no v1 info hash')

const socket = connect({ host, port: Number(port) })
const wire = new Wire({ pieceCount: pieces.length / 20, pieceLength, totalLength: length })
// A wire is a Duplex, and these two lines are a working peer. Both end when the peer closes the connection.
socket.pipe(wire).pipe(socket)
socket.on('error', (error) => wire.destroy(error))
socket.on('close', () => wire.destroy())
wire.on('close', () => socket.destroy())
wire.on('error', (error) => {
  console.error(error.message)
  process.exitCode = 1
})

wire.handshake(infoHashes.v1, randomBytes(20))
wire.on('handshake', ({ peerId }) => {
  console.log(`peer ${Buffer.from(peerId).toString('latin1', 0, 8)}`)
  wire.haveNone()
  wire.interested()
})
wire.on('unchoke', () => {
  console.log(`it has ${wire.peerPieceTotal} of ${pieces.length / 20} pieces`)
  wire.request(0, 0, Math.min(16384, pieceLength, length))
})
wire.on('piece', (piece, offset, block) => {
  // The block is only valid in this call; copy it to keep it.
  console.log(`piece ${piece}, offset ${offset}: ${block.length} bytes`)
  wire.destroy()
})
