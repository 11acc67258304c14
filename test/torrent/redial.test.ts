import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { until } from '../support/until.ts'
import { Bench } from './bench.ts'

async function listen(t: TestContext, server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

// Without this, the second dial comes after 10 s.
const soonMs = 5000

for (const how of ['peers', 'addPeer'] as const) {
  test(`a peer named by ${how} that refuses at first is redialled soon`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.mkv': 50_000 })
    const taken = createServer()
    const port = await listen(t, taken)
    await new Promise((resolve) => taken.close(resolve))
    const address = `127.0.0.1:${port}`
    const startedAt = performance.now()
    const options = how === 'peers' ? { peers: [address] } : {}
    const torrent = await bench.client().add(sample.bytes, { storage: new MemoryStorage(), ...options })
    if (how === 'addPeer') torrent.addPeer(address)
    const server = createServer((socket) => socket.destroy())
    const dialled = new Promise((resolve) => server.once('connection', resolve))
    setTimeout(() => void listen(t, server, port), 300)
    await dialled
    assert.ok(performance.now() - startedAt < soonMs)
  })
}

test('a peer that closes before its handshake is redialled soon', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const dials: number[] = []
  const port = await new Promise<number>((resolve) => {
    const server = createServer((socket) => {
      dials.push(performance.now())
      socket.on('error', () => {})
      socket.once('data', () => socket.destroy())
    })
    void listen(t, server).then(resolve)
  })
  await bench.client().add(sample.bytes, { storage: new MemoryStorage(), peers: [`127.0.0.1:${port}`] })
  await until('three dials', () => dials.length, { is: (value) => value >= 3 })
  const [first = 0, second = 0, third = 0] = dials
  assert.ok(second - first < soonMs)
  assert.ok(third - second < soonMs)
  assert.ok(third - second > second - first)
})
