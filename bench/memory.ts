import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { encode } from '../lib/bencode/encode.ts'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'
import { encode as encodeMessages } from '../lib/wire/encoder.ts'
import { messageIds } from '../lib/wire/messages.ts'
import { until } from '../test/support/until.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { Helper } from './helper.ts'

const pieceCount = 2000
const pieceLength = 1 << 18
const counts = { peers: 200, torrents: 100, streams: 100 }

function makeTorrent(): Buffer {
  const info = {
    length: pieceCount * pieceLength,
    name: randomBytes(8).toString('hex'),
    'piece length': pieceLength,
    pieces: randomBytes(20 * pieceCount)
  }
  return Buffer.from(encode({ info }))
}

/** Connects a peer that has half of the pieces, chokes, and then sends nothing more. */
async function idlePeer(port: number, infoHash: Uint8Array): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  await once(socket, 'connect')
  socket.on('error', () => {}).resume()
  socket.write(
    encodeMessages((batch) => {
      batch.handshake(infoHash, randomBytes(20), { fast: true, extended: false, dht: false })
      batch.payload(messageIds.bitfield, new Uint8Array(pieceCount / 8).fill(0x55))
    })
  )
  return socket
}

/** Memory that each idle peer, torrent and waiting stream retains: heap and buffers after a collection. */
export const memory: Benchmark = {
  name: 'memory',
  async run(): Promise<Measurement[]> {
    const helper = new Helper('memory-process', ['--expose-gc'])
    const sockets: Socket[] = []
    const measurements: Measurement[] = []
    const measure = async (name: string, count: number, grow: () => Promise<unknown>): Promise<void> => {
      const before = await helper.call<number>('used')
      await grow()
      const after = await helper.call<number>('used')
      measurements.push({ name: `memory, each ${name}`, value: (after - before) / count / 1024, unit: 'KiB' })
    }
    try {
      const first = makeTorrent()
      const port = await helper.call<number>('add', [first.toString('base64')])
      const others = Array.from({ length: counts.torrents }, () => makeTorrent().toString('base64'))
      await measure(`torrent of ${pieceCount} pieces`, counts.torrents, () => helper.call('add', others))
      const infoHash = parseTorrent(first).infoHashes.v1 ?? new Uint8Array(20)
      await measure('idle peer', counts.peers, async () => {
        for (let n = 0; n < counts.peers; n++) sockets.push(await idlePeer(port, infoHash))
        await until('all peers to be accepted', () => helper.call<number>('peers'), {
          is: counts.peers,
          everyMs: 20,
          timeoutMs: 5000
        })
      })
      await measure('open stream', counts.streams, () => helper.call('open', counts.streams))
    } finally {
      for (const socket of sockets) socket.destroy()
      await helper.stop()
    }
    return measurements
  }
}
