import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import type { Metainfo } from '../lib/metainfo/metainfo.ts'
import { Wire } from '../lib/wire/wire.ts'

/** Starts a peer that claims to have every piece and answers every request at once with noise. */
export async function startEvilSeeder({ infoHashes, pieceLength, length }: Metainfo): Promise<Server> {
  const noise = randomBytes(16384)
  const pieceCount = Math.ceil(length / pieceLength)
  const server = createServer({ noDelay: true }, (socket) => {
    const wire = new Wire({ pieceCount, pieceLength, totalLength: length })
    socket.on('error', () => {})
    socket.on('close', () => wire.destroy())
    wire.on('handshake', () => wire.haveAll())
    wire.on('interested', () => wire.unchoke())
    wire.on('request', (piece, offset, size) => wire.piece(piece, offset, noise.subarray(0, size)))
    wire.handshake(infoHashes.v1 ?? new Uint8Array(20), randomBytes(20))
    socket.pipe(wire).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** Returns the port of a server. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
