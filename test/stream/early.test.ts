import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { containerIndexBytes } from '../../lib/stream/container-index.ts'
import { FileStream } from '../../lib/stream/file-stream.ts'
import { until } from '../support/until.ts'
import { FakeSource } from './fake-source.ts'

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

test('unverified bytes are delivered at once, and the end waits until they are verified', async () => {
  const source = new FakeSource(5000, 0)
  const stream = new FileStream(source.file, source, { unverified: true })
  const chunks: Buffer[] = []
  let ended = false
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    ended = true
  })
  await until('5,000 bytes', () => Buffer.concat(chunks).length, { is: (value) => value >= 5000 })
  await turns()
  assert.equal(ended, false)
  source.judge(0, true)
  await turns()
  assert.equal(ended, false, 'the second piece is not judged yet')
  source.judge(1, true)
  await once(stream, 'close')
  assert.equal(ended, true)
  assert.deepEqual(Buffer.concat(chunks), source.bytes(0, 5000))
})

test('a piece that turns out wrong destroys a stream that has delivered some of it', async () => {
  const source = new FakeSource(9000, 0)
  const stream = new FileStream(source.file, source, { unverified: true })
  const failed = once(stream, 'error')
  stream.resume()
  await until('a reader of piece 1', () => source.listeners.has(1))
  source.judge(0, true)
  source.judge(1, false)
  const [error] = await failed
  assert.equal((error as { code?: string }).code, 'ERR_STREAM_UNVERIFIED')
  assert.equal(source.byId.size, 0)
})

test('pieces delivered unverified are completed even after the cursor has moved', async () => {
  const source = new FakeSource(40_000, 0)
  const stream = new FileStream(source.file, source, { unverified: true })
  const opened = (): number[] => [...source.byId.values()].map(({ pieces }) => pieces.start).sort()
  stream.on('readable', () => {})
  await once(stream, 'readable')
  while (stream.read() !== null);
  stream.seek(30_000)
  await until('bytes to read', () => stream.readableLength)
  assert.deepEqual(opened(), [0, 7, 7], 'the cursor, and both partly delivered pieces')
  source.judge(0, true)
  assert.deepEqual(opened(), [7, 7])
  stream.removeAllListeners('readable').resume()
  await until('position 40,000', () => stream.position, { is: (value) => value >= 40_000 })
  for (const piece of [7, 8, 9]) source.judge(piece, true)
  await once(stream, 'close')
  assert.equal(source.byId.size, 0)
})

test('a destroyed stream waits for no verdict', async () => {
  const source = new FakeSource(9000, 0)
  const stream = new FileStream(source.file, source, { unverified: true })
  await once(stream, 'readable')
  stream.destroy()
  await once(stream, 'close')
  assert.equal(
    [...source.listeners.values()].reduce((sum, { size }) => sum + size, 0),
    0
  )
  assert.equal(source.byId.size, 0)
})

test('by default nothing is read before it is verified', async () => {
  const source = new FakeSource(5000, 0)
  source.readEarly = () => assert.fail('an early read')
  for await (const _ of new FileStream(source.file, source));
})

test('a film that is started opens a late window over its end, which closes with the stream', async () => {
  const source = new FakeSource(4 << 20, 0, 16384)
  source.name = 'film.mp4'
  const stream = new FileStream(source.file, source)
  await once(stream, 'readable')
  const windows = [...source.byId.values()]
  assert.equal(windows.length, 2)
  // The cursor first: earlier windows come first.
  const [cursor, tail] = source.windows
  assert.equal(cursor?.pieces.start, 0)
  assert.deepEqual(tail?.pieces, { start: 252, end: 256 })
  const [id] = [...source.byId.keys()]
  assert.equal(tail?.behind, id)
  stream.destroy()
  await once(stream, 'close')
  assert.equal(source.byId.size, 0)
})

for (const [name, start] of [
  ['film.mp4', 2 << 20],
  ['film.txt', 0]
] as const) {
  test(`${name} read from ${start} opens one window`, async () => {
    const source = new FakeSource(4 << 20, 0, 16384)
    source.name = name
    const stream = new FileStream(source.file, source, { start })
    await once(stream, 'readable')
    assert.equal(source.byId.size, 1)
    stream.destroy()
  })
}

for (const [name, length, bytes] of [
  ['a.mp4', 100, 100],
  ['a.MKV', 1 << 20, 64 << 10],
  ['a.webm', 256 << 20, 1 << 20],
  ['a.mov', 2 ** 40, 2 << 20],
  ['a.ts', 1 << 30, 0],
  ['mp4', 1 << 30, 0]
] as const) {
  test(`${name} of ${length} bytes may keep its index in the last ${bytes}`, () => {
    assert.equal(containerIndexBytes(name, length), bytes)
  })
}
