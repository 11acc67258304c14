import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { MetadataExtension } from '../../lib/wire/ut-metadata.ts'
import { Wire } from '../../lib/wire/wire.ts'
import type { Bench, Sample } from './bench.ts'

/** Deviations of a peer from an honest seed; each is optional. */
export interface Behaviour {
  readonly infoHash?: Uint8Array
  readonly peerId?: Uint8Array
  /** Whether it supports the fast extension (BEP 6); true by default. */
  readonly fast?: boolean
  /** Whether it announces no pieces and serves none by itself. */
  readonly mute?: boolean
  /** Answers a request. */
  readonly answer?: (peer: EvilPeer, piece: number, offset: number, length: number) => void
  /** Metadata that it offers. */
  readonly metadata?: Uint8Array
  readonly metadataSize?: number
  /** Answers a metadata request. */
  readonly answerMetadata?: (extension: MetadataExtension, piece: number) => void
  /** Called for a connection before any byte is sent. Return true to take it over. */
  readonly onSocket?: (socket: Socket) => boolean
  /** Called after both handshakes. */
  readonly onWire?: (peer: EvilPeer) => void
}

/** One connection of a misbehaving peer. */
export class EvilPeer {
  readonly wire: Wire
  readonly socket: Socket
  readonly #sample: Sample

  constructor(socket: Socket, sample: Sample, behaviour: Behaviour) {
    const layout = layoutOf(sample.metainfo)
    const { pieceCount, pieceLength, length: totalLength } = layout
    this.socket = socket
    this.#sample = sample
    this.wire = new Wire({ pieceCount, pieceLength, totalLength, fast: behaviour.fast })
    const { wire } = this
    const { infoHash = sample.metainfo.infoHashes.v1 ?? new Uint8Array(20), peerId = randomBytes(20) } =
      behaviour
    socket.on('error', () => {})
    wire.handshake(infoHash, peerId)
    wire.on('handshake', () => {
      const { metadata = sample.metainfo.info, metadataSize = metadata.length } = behaviour
      const extension: MetadataExtension = wire.use(
        new MetadataExtension(wire, {
          onRequest: (piece) => {
            if (behaviour.answerMetadata !== undefined) behaviour.answerMetadata(extension, piece)
            else extension.data(piece, metadata.length, metadata.subarray(piece * 16384, (piece + 1) * 16384))
          }
        })
      )
      if (behaviour.mute !== true) wire.haveAll()
      wire.extendedHandshake({ metadataSize })
      if (behaviour.mute !== true) wire.on('interested', () => wire.unchoke())
      behaviour.onWire?.(this)
    })
    wire.on('request', (piece, offset, length) => {
      if (behaviour.answer !== undefined) behaviour.answer(this, piece, offset, length)
      else if (behaviour.mute !== true) wire.piece(piece, offset, this.block(piece, offset, length))
    })
    socket.pipe(wire).pipe(socket)
  }

  /** Returns the correct bytes of a block. */
  block(piece: number, offset: number, length: number): Uint8Array {
    const start = piece * this.#sample.metainfo.pieceLength + offset
    return this.#sample.data.slice(start, start + length)
  }

  /** Sends a block, requested or not, or a part of its message. */
  raw(piece: number, offset: number, data: Uint8Array, from = 0, to: number = 13 + data.length): void {
    const message = Buffer.alloc(13 + data.length)
    message.writeUInt32BE(9 + data.length, 0)
    message[4] = 7
    message.writeUInt32BE(piece, 5)
    message.writeUInt32BE(offset, 9)
    message.set(data, 13)
    this.socket.write(message.subarray(from, to))
  }
}

/** A listening peer. */
export interface EvilHost {
  readonly address: string
  /** All its connections, including closed ones. */
  readonly sockets: readonly Socket[]
  readonly peers: readonly EvilPeer[]
}

/** Listens on loopback as a peer with this behaviour. */
export async function listenAs(bench: Bench, sample: Sample, behaviour: Behaviour = {}): Promise<EvilHost> {
  const sockets: Socket[] = []
  const peers: EvilPeer[] = []
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    if (behaviour.onSocket?.(socket) !== true) peers.push(new EvilPeer(socket, sample, behaviour))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bench.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, peers }
}

/** Dials a port on loopback. The socket is closed after the test. */
export function dial(bench: Bench, port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  socket.on('error', () => {})
  bench.after(() => socket.destroy())
  return socket
}
