import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { Bench } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'

test('an idle connection is kept alive, and closed when the peer is silent for longer', async (t) => {
  let aheadMs = 0
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + aheadMs)
  t.mock.timers.enable({ apis: ['setInterval'] })
  const pass = (ms: number): void => {
    aheadMs += ms
    // Connections are checked once a second.
    t.mock.timers.tick(1000)
  }
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const host = await listenAs(bench, sample, { mute: true })
  const torrent = await bench.client().add(sample.bytes, { peers: [host.address] })
  await until('the connection', () => torrent.peers.length)
  const peer = await until('the handshake of the peer', () => host.peers[0])
  let keepAlives = 0
  peer.wire.on('keep-alive', () => keepAlives++)
  await turns()
  pass(0)
  pass(90_000)
  await turns()
  assert.equal(keepAlives, 0)
  pass(20_000)
  await until('a keep-alive', () => keepAlives)
  assert.equal(torrent.peers.length, 1)
  pass(30_000)
  await until('the end of the connection', () => peer.socket.closed)
  assert.deepEqual(torrent.peers, [])
})
