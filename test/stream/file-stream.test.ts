import assert from 'node:assert/strict'
import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import test from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FileStream, type FileStreamOptions } from '../../lib/stream/file-stream.ts'
import { toWebStream } from '../../lib/stream/web-stream.ts'
import { seededRandom } from '../sim/event-loop.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { FakeSource } from './fake-source.ts'

const open = (source: FakeSource, options?: FileStreamOptions): FileStream =>
  new FileStream(source.file, source, options)

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

const code = (wanted: string) => ({ code: wanted })

for (const [options, start, end] of [
  [{}, 0, 5000],
  [{ start: 0, end: 0 }, 0, 1],
  [{ start: 10 }, 10, 5000],
  [{ end: 10 }, 0, 11],
  [{ start: 4999, end: 4999 }, 4999, 5000],
  [{ start: 10, end: 999_999 }, 10, 5000],
  [{ start: 10, end: Number.MAX_SAFE_INTEGER }, 10, 5000],
  [{ start: 5000 }, 5000, 5000],
  [{ start: undefined, end: undefined }, 0, 5000]
] as const) {
  test(`reads ${JSON.stringify(options)} like node:fs`, async () => {
    const source = new FakeSource(5000)
    assert.deepEqual(await bytesOf(open(source, options)), source.bytes(start, end))
    assert.equal(source.openWindows, 0)
    assert.equal(source.pending, 0)
  })
}

test('an empty file ends at once', async () => {
  for (const options of [{}, { start: 0, end: 0 }, { end: 7 }]) {
    const source = new FakeSource(0)
    assert.equal((await bytesOf(open(source, options))).length, 0)
    assert.equal(source.windows.length, 0)
  }
})

for (const options of [
  { start: -1 },
  { start: 1.5 },
  { start: Number.NaN },
  { start: '3' },
  { start: null },
  { start: 5001 },
  { end: -1 },
  { end: 0.5 },
  { end: Number.POSITIVE_INFINITY },
  { end: 2 ** 53 },
  { start: 3, end: 2 }
] as unknown as FileStreamOptions[]) {
  test(`refuses ${Object.entries(options).map(([name, value]) => `${name} ${value}`)}`, () => {
    const source = new FakeSource(5000)
    assert.throws(() => open(source, options), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  })
}

test('nothing is requested before the first read', async () => {
  const source = new FakeSource(5000)
  const stream = open(source)
  stream.seek(100)
  await turns()
  assert.equal(source.reads, 0)
  assert.equal(source.windows.length, 0)
  assert.deepEqual(await bytesOf(stream), source.bytes(100, 5000))
  assert.equal(source.jumps[0], true)
  assert.equal(source.closings, 1)
})

test('one chunk at most is buffered, however slow the reader is', async () => {
  const source = new FakeSource(50_000)
  const stream = open(source)
  let most = 0
  const sink = new Writable({
    highWaterMark: 1,
    write(_chunk, _encoding, callback) {
      most = Math.max(most, stream.readableLength)
      setImmediate(() => {
        most = Math.max(most, stream.readableLength)
        callback()
      })
    }
  })
  await pipeline(stream, sink)
  assert.ok(most <= 1000, String(most))
  const paused = open(source)
  paused.on('readable', () => {})
  await turns(20)
  assert.equal(paused.readableLength, 1000)
  const reads = source.reads
  await turns(20)
  assert.equal(source.reads, reads)
  paused.destroy()
})

test('seek while a read is pending', async () => {
  const source = new FakeSource(5000)
  source.shut()
  const stream = open(source)
  const chunks: Buffer[] = []
  stream.on('data', (chunk) => chunks.push(chunk))
  await turns()
  assert.equal(source.pending, 1)
  stream.seek(4500)
  assert.equal(stream.position, 4500)
  await turns()
  source.open()
  await once(stream, 'end')
  assert.deepEqual(Buffer.concat(chunks), source.bytes(4500, 5000))
  assert.ok(source.jumps.filter((jumped) => jumped).length >= 2)
})

test('seek with data buffered and the stream paused', async () => {
  const source = new FakeSource(5000)
  const stream = open(source)
  stream.on('readable', () => {})
  await turns()
  assert.equal(stream.readableLength, 1000)
  assert.equal(stream.position, 0)
  stream.read(10)
  assert.equal(stream.position, 10)
  stream.seek(2000)
  assert.equal(stream.position, 2000)
  assert.equal(stream.readableLength, 0)
  await turns()
  assert.deepEqual(stream.read(5), source.bytes(2000, 2005))
  assert.equal(stream.position, 2005)
  stream.seek(3)
  stream.removeAllListeners('readable')
  assert.deepEqual(await bytesOf(stream), source.bytes(3, 5000))
})

test('seek while everything is buffered goes back', async () => {
  const source = new FakeSource(500)
  const stream = open(source)
  stream.on('readable', () => {})
  await turns()
  assert.equal(stream.readableLength, 500)
  stream.seek(100)
  stream.removeAllListeners('readable')
  assert.deepEqual(await bytesOf(stream), source.bytes(100, 500))
})

test('seek to the length ends, beyond it is refused, and afterwards it throws', async () => {
  const source = new FakeSource(5000)
  const stream = open(source)
  for (const bad of [5001, -1, 0.5, Number.NaN, '1' as never, undefined as never]) {
    assert.throws(() => stream.seek(bad), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
  stream.once('data', () => stream.seek(5000))
  await once(stream, 'end')
  assert.equal(stream.position, 5000)
  assert.throws(() => stream.seek(0), code('ERR_STREAM_ENDED'))
  assert.equal(source.closings, 1)
  const ranged = open(source, { start: 10, end: 19 })
  assert.throws(() => ranged.seek(21), { name: 'RangeError' })
  ranged.seek(20)
  assert.equal((await bytesOf(ranged)).length, 0)
  const destroyed = open(source)
  destroyed.destroy()
  assert.throws(() => destroyed.seek(0), code('ERR_STREAM_ENDED'))
})

test('a seek to the end, and back before anybody reads', async () => {
  const source = new FakeSource(5000)
  const stream = open(source)
  stream.on('readable', () => {})
  await turns()
  stream.removeAllListeners('readable')
  stream.pause()
  source.shut()
  stream.seek(10)
  stream.seek(4990)
  source.open()
  assert.deepEqual(await bytesOf(stream), source.bytes(4990, 5000))
})

test('a storm of seeks never delivers a byte of another position', async () => {
  const source = new FakeSource(100_000)
  const random = seededRandom(5)
  const stream = open(source)
  let expected = 0
  let seeks = 0
  let seen = 0
  const storm = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      assert.deepEqual(chunk, source.bytes(expected, expected + chunk.length))
      expected += chunk.length
      seen++
      assert.equal(stream.position, expected)
      if (seeks >= 1000) resolve()
    })
    void (async () => {
      for (; seeks < 1000; seeks++) {
        source.chunkBytes = 1 + Math.floor(2000 * random())
        if (random() < 0.3) stream.pause()
        if (random() < 0.5) await turns(Math.floor(4 * random()))
        // Far enough from the end that it does not come before the next seek.
        expected = Math.floor(80_000 * random())
        stream.seek(expected)
        assert.equal(stream.position, expected)
        if (random() < 0.8) stream.resume()
      }
      stream.resume()
    })()
  })
  await storm
  assert.ok(seen > 50)
  stream.destroy()
  await once(stream, 'close')
  assert.equal(source.pending, 0)
  assert.equal(source.closings, 1)
})

test('read(n) across seeks', async () => {
  const source = new FakeSource(20_000)
  const random = seededRandom(9)
  const stream = open(source)
  stream.on('readable', () => {})
  for (let round = 0; round < 200; round++) {
    const at = Math.floor(19_000 * random())
    stream.seek(at)
    await turns(Math.floor(6 * random()))
    let position = at
    for (let count = 0; count < 3; count++) {
      const chunk = stream.read(1 + Math.floor(50 * random()))
      if (chunk === null) break
      assert.deepEqual(chunk, source.bytes(position, position + chunk.length))
      position += chunk.length
      assert.equal(stream.position, position)
    }
  }
  stream.destroy()
})

const text = 'aä€😀'.repeat(50)

test('utf8 over chunks of any size', async () => {
  for (const chunkBytes of [1, 2, 3, 7]) {
    const content = Buffer.from(text)
    const source = new FakeSource(content.length)
    source.content = content
    source.chunkBytes = chunkBytes
    const stream = open(source).setEncoding('utf8')
    let got = ''
    for await (const part of stream) got += part
    assert.equal(got, text)
    assert.equal(stream.position, content.length)
  }
})

test('utf8: a seek does not mix characters, and the position is that of the delivered bytes', async () => {
  const content = Buffer.from(text)
  const source = new FakeSource(content.length)
  source.content = content
  source.chunkBytes = 2
  const stream = open(source)
  stream.setEncoding('utf8')
  let got = ''
  stream.on('data', (part: string) => {
    got += part
    assert.equal(stream.position, Buffer.byteLength(got))
    if (got !== 'a') return
    // Whether or not the chunk ended inside a character, the next one begins anew.
    stream.removeAllListeners('data')
    stream.pause()
    stream.seek(10)
  })
  await turns(20)
  got = ''
  stream.on('data', (part: string) => {
    got += part
  })
  stream.resume()
  await once(stream, 'end')
  assert.equal(got, text.slice('aä€😀'.length))
  assert.ok(!got.includes('\uFFFD'))
})

test('utf8: half a character of the old position is dropped at a seek', async () => {
  const source = new FakeSource(6)
  source.content = Buffer.from('€xyz')
  source.chunkBytes = 2
  const stream = open(source)
  stream.setEncoding('utf8')
  stream.on('readable', () => {})
  await turns(2)
  stream.seek(3)
  stream.removeAllListeners('readable')
  let got = ''
  for await (const part of stream) got += part
  assert.equal(got, 'xyz')
})

test('bytes that are no text do not move the position beyond the end', async () => {
  const source = new FakeSource(300)
  source.content = new Uint8Array(300).fill(0xff)
  source.chunkBytes = 100
  const stream = open(source)
  stream.setEncoding('utf8')
  for await (const _ of stream) assert.ok(stream.position <= 300)
  assert.equal(stream.position, 300)
})

test('pipeline and finished', async () => {
  const source = new FakeSource(9000)
  const through = new PassThrough()
  const [, got] = await Promise.all([pipeline(open(source), through), bytesOf(through)])
  assert.deepEqual(got, source.bytes(0, 9000))
  const stream = open(source)
  stream.resume()
  await finished(stream)
  assert.equal(stream.destroyed, true)
})

test('leaving a loop early closes the window once', async () => {
  const source = new FakeSource(9000)
  const stream = open(source)
  for await (const _ of stream) break
  assert.equal(stream.destroyed, true)
  await turns()
  assert.equal(source.closings, 1)
  assert.equal(source.pending, 0)
})

test('as a web stream: complete, in a Response, and cancelled', async () => {
  const source = new FakeSource(9000)
  const web = await new Response(toWebStream(open(source))).arrayBuffer()
  assert.deepEqual(Buffer.from(web), source.bytes(0, 9000))
  const parts: Uint8Array[] = []
  const reader = toWebStream(open(source)).getReader()
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value)
  assert.deepEqual(Buffer.concat(parts), source.bytes(0, 9000))
  const node = open(source)
  const cancelled = toWebStream(node)
  const other = cancelled.getReader()
  await other.read()
  const reads = source.reads
  await turns(20)
  assert.ok(source.reads <= reads + 2, 'nothing is read ahead')
  await other.cancel()
  await turns()
  assert.equal(node.destroyed, true)
  assert.equal(source.openWindows, 0)
  const wrapped = Readable.toWeb(open(source))
  assert.equal((await new Response(wrapped as ReadableStream).arrayBuffer()).byteLength, 9000)
})

test('a web stream reports errors', async () => {
  const source = new FakeSource(9000)
  source.failure = new Error('broken')
  await assert.rejects(new Response(toWebStream(open(source))).arrayBuffer())
})

test('an abort destroys the stream: before, during, after', async () => {
  const source = new FakeSource(9000)
  const aborted = open(source, { signal: AbortSignal.abort() })
  await assert.rejects(finished(aborted), { name: 'AbortError' })
  assert.equal(source.windows.length, 0)
  const abort = new AbortController()
  source.shut()
  const stream = open(source, { signal: abort.signal })
  stream.resume()
  await turns()
  const failed = assert.rejects(finished(stream), { name: 'AbortError' })
  abort.abort()
  await failed
  assert.equal(source.pending, 0)
  assert.equal(source.closings, 1)
  source.open()
  const later = new AbortController()
  const whole = open(source, { signal: later.signal })
  assert.equal((await bytesOf(whole)).length, 9000)
  assert.deepEqual(getEventListeners(later.signal, 'abort'), [])
  later.abort()
})

for (const state of ['fresh', 'pending', 'buffered', 'ended'] as const) {
  test(`destroyed while ${state}: the window is closed once and nothing is left`, async () => {
    const source = new FakeSource(5000)
    const stream = open(source)
    if (state === 'pending') source.shut()
    if (state === 'ended') await bytesOf(stream)
    else if (state !== 'fresh') {
      stream.on('readable', () => {})
      await turns()
    }
    stream.destroy()
    stream.destroy(new Error('again'))
    await turns()
    assert.equal(stream.destroyed, true)
    assert.equal(source.closings, state === 'fresh' ? 0 : 1)
    assert.equal(source.openWindows, 0)
    assert.equal(source.pending, 0)
  })
}

test('a failing source fails the reader, whatever its listeners', async () => {
  const source = new FakeSource(9000)
  const stream = open(source)
  const got: Buffer[] = []
  await assert.rejects(
    (async () => {
      for await (const chunk of stream) {
        got.push(chunk)
        source.failure = new Error('broken disk')
      }
    })(),
    /broken disk/
  )
  assert.equal(got.length, 1)
  const unheard = open(source)
  unheard.resume()
  await new Promise((resolve) => unheard.once('close', resolve))
  assert.equal(unheard.errored?.message, 'broken disk')
  assert.equal(source.openWindows, 0)
})

test('a source that returns nothing is an error, not an endless loop', async () => {
  const source = new FakeSource(9000)
  source.content = new Uint8Array()
  await assert.rejects(bytesOf(open(source)), code('ERR_STORAGE_READ'))
})

test('the window follows the reader and is marked while it waits', async () => {
  const source = new FakeSource(200_000, 0)
  source.chunkBytes = 10_000
  source.ready = false
  for await (const _ of open(source));
  const windows = source.windows.filter((window) => window !== undefined)
  assert.equal(windows[0]?.waiting, true)
  const starts = windows.map(({ pieces }) => pieces.start)
  assert.deepEqual(
    starts,
    [...starts].sort((a, b) => a - b)
  )
  assert.ok(windows.length > 1 && windows.every(({ pieces }) => pieces.end <= source.layout.pieceCount))
  assert.deepEqual(source.jumps.slice(0, -1), [true, ...Array(windows.length - 1).fill(false)])
})

test('several streams have numbers of their own', () => {
  const source = new FakeSource(10)
  open(source)
  open(source)
  assert.equal(source.nextStreamId(), 3)
})

for (const to of [2000, 5000]) {
  test(`readable is emitted again after a seek to ${to} of 5000`, {
    timeout: 5000
  }, async () => {
    const source = new FakeSource(5000)
    const stream = open(source)
    const read: Buffer[] = []
    await once(stream, 'readable')
    stream.seek(to)
    stream.on('readable', () => {
      for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) read.push(chunk)
    })
    await once(stream, 'end')
    assert.deepEqual(Buffer.concat(read), source.bytes(to, 5000))
  })
}

test('a loop over a stream continues after a seek between a chunk and its delivery', {
  timeout: 5000
}, async () => {
  const source = new FakeSource(5000)
  const stream = open(source)
  const push = stream.push.bind(stream)
  let sought = false
  stream.push = (chunk: unknown) => {
    const more = push(chunk)
    if (!sought) queueMicrotask(() => stream.seek(2000))
    sought = true
    return more
  }
  assert.deepEqual(await bytesOf(stream), source.bytes(2000, 5000))
})

test('a stream waits until its bytes are delivered, and not while no consumer reads', async () => {
  const source = new FakeSource(9000)
  source.ready = false
  const stream = open(source)
  stream.once('readable', () => {})
  await until('bytes to read', () => stream.readableLength)
  assert.deepEqual(
    source.windows.map((window) => window?.waiting),
    [true, false]
  )
  source.shut()
  stream.read()
  stream.read()
  assert.equal(source.windows.at(-1)?.waiting, true)
  stream.destroy()
})

for (const event of ['data', 'readable', 'end', 'close', 'error', 'pause']) {
  test(`a throwing listener of '${event}' is uncaught, and the stream continues`, async (t) => {
    const uncaught = collectUncaught(t)
    const source = new FakeSource(5000)
    const stream = open(source)
    const seen: Buffer[] = []
    let others = 0
    stream.on(event, () => {
      throw new Error('faulty listener')
    })
    stream.on(event, () => others++)
    const closed = new Promise((resolve) => stream.once('close', resolve))
    if (event === 'readable')
      stream.on('readable', () => {
        for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) seen.push(chunk)
      })
    else
      stream.on('data', (chunk: Buffer) => {
        seen.push(chunk)
        if (event !== 'pause') return
        stream.pause()
        setImmediate(() => stream.resume())
      })
    if (event === 'error') stream.destroy(new Error('told'))
    await closed
    await turns()
    if (event !== 'error') assert.deepEqual(Buffer.concat(seen), source.bytes(0, 5000))
    assert.ok(
      uncaught.length > 0 && uncaught.every((error) => /faulty/.test(String(error))),
      String(uncaught)
    )
    assert.equal(others, uncaught.length)
    assert.equal(source.openWindows, 0)
  })
}

test('only users listen on a stream, and its end is signalled without an event', async () => {
  const source = new FakeSource(5000)
  const controller = new AbortController()
  const stream = open(source, { signal: controller.signal })
  assert.deepEqual(stream.eventNames(), [])
  let ends = 0
  stream.onDestroyed = () => ends++
  stream.removeAllListeners()
  controller.abort('mine')
  await turns()
  assert.equal(ends, 1)
  assert.equal(stream.errored?.name, 'AbortError')
  assert.equal(stream.errored?.cause, 'mine')
  assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
})

test('an encoding gives strings, like setEncoding, and positions stay in bytes', async () => {
  const source = new FakeSource(3000)
  source.content = Buffer.from('äöü€'.repeat(1000))
  const stream = open(source, { encoding: 'utf8' })
  let text = ''
  for await (const chunk of stream) {
    assert.equal(typeof chunk, 'string')
    text += chunk
  }
  const bytes = open(source)
  assert.equal(text, (await bytesOf(bytes)).toString())
  assert.equal(open(source, { encoding: null }).readableEncoding, null)
  assert.equal(open(source, { encoding: 'hex' }).readableEncoding, 'hex')
})

test('highWaterMark reads that far ahead in chunks of at most that size, and nothing before the first read', async () => {
  const source = new FakeSource(5000)
  source.chunkBytes = 10_000
  const stream = open(source, { highWaterMark: 2000 })
  await turns()
  assert.equal(source.reads, 0)
  stream.once('readable', () => {})
  await turns(20)
  assert.ok(stream.readableLength >= 2000 && stream.readableLength < 4000, String(stream.readableLength))
  assert.equal(stream.position, 0)
  const chunk: Buffer = stream.read()
  assert.equal(stream.position, chunk.length)
  const chunks: Buffer[] = [chunk]
  for await (const next of stream) chunks.push(next)
  assert.deepEqual(Buffer.concat(chunks), source.bytes(0, 5000))
  const small = open(source, { highWaterMark: 100 })
  for await (const next of small) assert.ok(next.length <= 200)
  const fetched = open(source, { highWaterMark: 2000 })
  fetched.once('readable', () => {})
  await turns(20)
  fetched.seek(4000)
  assert.deepEqual(await bytesOf(fetched), source.bytes(4000, 5000))
})

test('emitClose false emits no close, and the stream is destroyed all the same', async () => {
  const source = new FakeSource(10)
  const stream = open(source, { emitClose: false })
  let closes = 0
  stream.on('close', () => closes++)
  let ends = 0
  stream.onDestroyed = () => ends++
  stream.resume()
  await once(stream, 'end')
  await turns()
  assert.deepEqual([closes, ends, stream.destroyed], [0, 1, true])
})

test('meaningless options of fs.createReadStream are ignored, others are refused', () => {
  const source = new FakeSource(10)
  open(source, { flags: 'r', mode: 0o666, autoClose: false } as FileStreamOptions).destroy()
  for (const name of ['fd', 'fs', 'strat', 'flush'])
    assert.throws(() => open(source, { [name]: 1 } as FileStreamOptions), code('ERR_STREAM_OPTION'))
  assert.throws(() => open(source, { encoding: 'klingon' as BufferEncoding }), code('ERR_STREAM_OPTION'))
  assert.throws(() => open(source, { highWaterMark: -1 }), code('ERR_OUT_OF_RANGE'))
})
