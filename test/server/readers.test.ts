import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Client, Torrent } from '../../lib/index.ts'
import { until } from '../support/until.ts'
import { ask, bytesOf, connect, lonely, type Reply, seed, serve } from './support.ts'

// More than the buffers of a connection hold.
const film = bytesOf(16_000_000)

/** Requests a file, and reads none of it. */
async function askSilently(t: TestContext, port: number, { infoHash }: Torrent): Promise<Socket> {
  const socket = await connect(t, port)
  socket.pause()
  socket.write(`GET /${infoHash}/set/a.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
  return socket
}

/** Adds a torrent without peers to a client. */
async function addLonely(t: TestContext, client: Client): Promise<Torrent> {
  const { torrent } = await lonely(t, { 'a.bin': bytesOf(40_000) })
  return client.add(torrent.torrentFile ?? '')
}

test('a stream whose client reads nothing is evicted for another, the longest stalled one first', async (t) => {
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client, { maxStreams: 2 }, { yieldMs: 0 })
  const first = await askSilently(t, port, torrent)
  await until('one stream', () => torrent.streams.length, { is: 1 })
  const second = await askSilently(t, port, torrent)
  await until('two streams', () => torrent.streams.length, { is: 2 })
  const [before] = torrent.streams
  const answer = (): Promise<Reply> =>
    ask(port, `/${torrent.infoHash}/set/a.bin`, { headers: { range: 'bytes=5-9' } })
  // Until its buffers are full a client accepts bytes.
  const reply = await until('an answer', answer, { is: ({ status }) => status !== 503 })
  assert.ok(reply.body.equals(film.subarray(5, 10)))
  const closed = once(first.resume(), 'close')
  await closed
  assert.ok(before?.destroyed)
  assert.ok(!second.closed)
})

test('while all streams are read, the next one gets 503', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.bin': bytesOf(40_000) })
  const { port } = await serve(t, client, { maxStreams: 2 }, { yieldMs: 0 })
  const url = `/${torrent.infoHash}/set/a.bin`
  const sockets = [await askSilently(t, port, torrent), await askSilently(t, port, torrent)]
  await until('two streams', () => torrent.streams.length, { is: 2 })
  for (const headers of [{}, { range: 'bytes=0-9' }, { range: 'bytes=0-9,5000-5009' }]) {
    const { status, headers: said } = await ask(port, url, { headers })
    assert.equal(status, 503, 'a client that waits for the torrent is not silent')
    assert.match(String(said['retry-after']), /^\d+$/)
  }
  assert.equal((await ask(port, url, { method: 'HEAD' })).status, 200)
  assert.equal((await ask(port, '/api/torrents')).status, 200)
  assert.equal(torrent.streams.length, 2)
  sockets[0]?.destroy()
  await until('one stream', () => torrent.streams.length, { is: 1 })
  const next = await askSilently(t, port, torrent)
  assert.match(String((await once(next.resume(), 'data'))[0]), /^HTTP\/1\.1 200 /)
})

test('a stream whose client reads nothing for long closes its window, and resumes at its position', async (t) => {
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client, {}, { parkMs: 20 })
  const waiting = await addLonely(t, client)
  const patient = await askSilently(t, port, waiting)
  await until('a stream of the waiting torrent', () => waiting.streams.length, { is: 1 })
  const socket = await askSilently(t, port, torrent)
  await until('one stream', () => torrent.streams.length, { is: 1 })
  await until('all streams to close', () => torrent.streams.length, { is: 0 })
  assert.ok(!socket.closed)
  assert.equal(waiting.streams.length, 1, 'a client that waits for the torrent keeps its window')
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  const whole = Buffer.concat(chunks)
  assert.ok(whole.subarray(whole.indexOf('\r\n\r\n') + 4).equals(film))
  await until('all streams to close', () => torrent.streams.length, { is: 0 })
  patient.destroy()
  await until('the streams of the waiting torrent to close', () => waiting.streams.length, { is: 0 })
})

test('a client that disconnects after its stream was parked leaves nothing', async (t) => {
  const { client, torrent } = await seed(t, { 'a.bin': film })
  const { port } = await serve(t, client, { maxStreams: 1 }, { parkMs: 20 })
  const socket = await askSilently(t, port, torrent)
  await until('one stream', () => torrent.streams.length, { is: 1 })
  await until('all streams to close', () => torrent.streams.length, { is: 0 })
  socket.resetAndDestroy()
  const status = async (): Promise<number> =>
    (await ask(port, `/${torrent.infoHash}/set/a.bin`, { headers: { range: 'bytes=1-2' } })).status
  assert.equal(await until('an answer', status, { is: (value) => value !== 503 }), 206)
  await until('all streams to close', () => torrent.streams.length, { is: 0 })
})
