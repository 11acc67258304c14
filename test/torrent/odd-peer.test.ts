import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode, type MessageBatch } from '../../lib/wire/encoder.ts'
import { messageIds } from '../../lib/wire/messages.ts'
import { whenClosed } from '../support/closed.ts'
import { until } from '../support/until.ts'
import { assertSame, Bench } from './bench.ts'
import { type EvilPeer, listenAs } from './evil-peer.ts'

const say = ({ socket }: EvilPeer, write: (batch: MessageBatch) => void): void =>
  void socket.write(encode(write))

test('a peer with odd habits stays connected and serves everything', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const rejected: string[] = []
  const odd = await listenAs(bench, sample, {
    mute: true,
    onWire: (peer) => {
      const { wire } = peer
      wire.on('reject', (...numbers) => rejected.push(numbers.join(' ')))
      wire.on('interested', () => wire.unchoke())
      say(peer, (batch) => {
        batch.extended(0, Buffer.from('le'))
        batch.extended(0, Buffer.from('d1:md11:ut_metadata4:noneee\n'))
      })
      // 13 pieces: the last 3 bits are spare.
      wire.bitfield(new Uint8Array(2).fill(255))
      wire.suggest(4000)
      wire.request(0, 0, 32_768)
      wire.request(4000, 0, 16_384)
      say(peer, (batch) => batch.payload(messageIds.extended, Uint8Array.of(99, 1, 2, 3)))
    },
    answer: (peer, piece, offset, length) => peer.wire.piece(piece, offset, peer.block(piece, offset, length))
  })
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers: [odd.address] })
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
  assert.equal(odd.sockets.length, 1)
  assert.deepEqual(rejected.sort(), ['0 0 32768', '4000 0 16384'])
})

test('a peer that sends only nonsense is disconnected', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 400_000 })
  const odd = await listenAs(bench, sample, {
    onWire: ({ wire }) => {
      for (let n = 0; n < 301; n++) wire.request(0, n, 16_385)
    },
    answer: () => {}
  })
  await bench.client().add(sample.bytes, { peers: [odd.address] })
  const socket = await until('the connection', () => odd.sockets[0])
  await whenClosed(socket)
})
