// Every consumer of streams in Node.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, readFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import {
  addAbortSignal,
  Duplex,
  finished as finishedCallback,
  PassThrough,
  pipeline as pipelineCallback,
  Readable,
  Transform,
  Writable
} from 'node:stream'
import consumers from 'node:stream/consumers'
import { finished, pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import zlib from 'node:zlib'
import type { FileStream } from '../../lib/stream/file-stream.ts'
import type { TorrentFile } from '../../lib/torrent/torrent-file.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, serve } from './bench.ts'

interface Place {
  readonly name: string
  /** Passes the file to the consumer and returns the bytes that come out; they must equal the file. */
  put(file: TorrentFile, bench: Bench): Promise<Uint8Array | ArrayBuffer>
}

const program =
  "const h = require('node:crypto').createHash('sha1'); process.stdin.on('data', (c) => h.update(c)).on('end', () => console.log(h.digest('hex')))"

function collector(): { sink: Writable; bytes: () => Buffer } {
  const chunks: Buffer[] = []
  const sink = new Writable({
    highWaterMark: 1000,
    write(chunk, _encoding, callback) {
      chunks.push(chunk)
      setImmediate(callback)
    }
  })
  return { sink, bytes: () => Buffer.concat(chunks) }
}

function join(chunks: readonly Uint8Array[]): Buffer {
  return Buffer.concat(chunks)
}

const places: readonly Place[] = [
  {
    name: 'pipeline of promises',
    async put(file) {
      const { sink, bytes } = collector()
      await pipeline(file.createReadStream(), new PassThrough(), sink)
      return bytes()
    }
  },
  {
    name: 'pipeline with a callback',
    async put(file) {
      const { sink, bytes } = collector()
      await new Promise<void>((resolve, reject) => {
        pipelineCallback(file.createReadStream(), sink, (error) => (error ? reject(error) : resolve()))
      })
      return bytes()
    }
  },
  {
    name: 'pipe and finished',
    async put(file) {
      const { sink, bytes } = collector()
      const stream = file.createReadStream()
      const heard = new Promise<void>((resolve) => finishedCallback(stream, () => resolve()))
      stream.pipe(sink)
      await Promise.all([finished(stream), finished(sink), heard])
      return bytes()
    }
  },
  {
    name: 'a pipe that is taken off and put on again',
    async put(file) {
      const { sink, bytes } = collector()
      const stream = file.createReadStream()
      stream.pipe(sink)
      for (let times = 0; times < 3; times++) {
        await turn()
        stream.unpipe(sink)
        await turn()
        stream.pipe(sink)
      }
      await finished(sink)
      return bytes()
    }
  },
  {
    name: 'data events with pauses',
    async put(file) {
      const stream = file.createReadStream()
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        stream.pause()
        setImmediate(() => stream.resume())
      })
      await once(stream, 'end')
      return join(chunks)
    }
  },
  {
    name: 'readable events and reads of a size',
    async put(file) {
      const stream = file.createReadStream()
      const chunks: Buffer[] = []
      stream.on('readable', () => {
        for (let chunk: Buffer | null; (chunk = stream.read(777) ?? stream.read()) !== null; )
          chunks.push(chunk)
      })
      await once(stream, 'end')
      return join(chunks)
    }
  },
  {
    name: 'for await',
    async put(file) {
      const chunks: Uint8Array[] = []
      for await (const chunk of file) chunks.push(chunk)
      return join(chunks)
    }
  },
  {
    name: 'operators of Readable',
    async put(file) {
      const chunks: Buffer[] = await file
        .createReadStream()
        .map((chunk: Buffer) => chunk)
        .toArray()
      return join(chunks)
    }
  },
  { name: 'consumers', put: (file) => consumers.buffer(file.createReadStream()) },
  {
    name: 'Readable.toWeb',
    async put(file) {
      const chunks: Uint8Array[] = []
      for await (const chunk of Readable.toWeb(file.createReadStream())) chunks.push(chunk)
      return join(chunks)
    }
  },
  {
    name: 'Readable.fromWeb',
    put: (file) => consumers.buffer(Readable.fromWeb(file.stream() as Parameters<typeof Readable.fromWeb>[0]))
  },
  { name: 'a Response', put: (file) => new Response(file.stream()).arrayBuffer() },
  {
    name: 'a Blob',
    async put(file) {
      return (await new Response(file.stream()).blob()).arrayBuffer()
    }
  },
  {
    name: 'the body of fetch',
    async put(file, bench) {
      const url = await serve(bench, (request, response) => request.pipe(response))
      const init = { method: 'POST', body: file.stream(), duplex: 'half' }
      return (await fetch(url, init as RequestInit)).arrayBuffer()
    }
  },
  {
    name: 'a file',
    async put(file, bench) {
      const target = path.join(bench.folder(), 'copy')
      await pipeline(file.createReadStream(), createWriteStream(target))
      return readFileSync(target)
    }
  },
  {
    name: 'an http.ServerResponse and an http.ClientRequest',
    async put(file, bench) {
      const url = await serve(bench, (request, response) => {
        if (request.method === 'GET') file.createReadStream().pipe(response)
        else request.pipe(response)
      })
      const got = Buffer.from(await (await fetch(url)).arrayBuffer())
      const request = http.request(url, { method: 'PUT', agent: false })
      file.createReadStream().pipe(request)
      const [response] = await once(request, 'response')
      const echo = await consumers.buffer(response)
      assert.ok(echo.equals(got))
      return echo
    }
  },
  {
    name: 'the standard input of a program',
    async put(file) {
      const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
      file.createReadStream().pipe(child.stdin)
      const hash = (await consumers.text(child.stdout)).trim()
      const bytes = Buffer.from(await file.arrayBuffer())
      assert.equal(hash, createHash('sha1').update(bytes).digest('hex'))
      return bytes
    }
  },
  {
    name: 'gzip and back',
    async put(file) {
      const { sink, bytes } = collector()
      await pipeline(file.createReadStream(), zlib.createGzip(), zlib.createGunzip(), sink)
      return bytes()
    }
  },
  {
    name: 'a hash',
    async put(file) {
      const hash = createHash('sha256')
      await pipeline(file.createReadStream(), hash)
      const bytes = Buffer.from(await file.arrayBuffer())
      assert.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'))
      return bytes
    }
  },
  {
    name: 'async generators',
    async put(file) {
      const { sink, bytes } = collector()
      await pipeline(
        file.createReadStream(),
        async function* (source: AsyncIterable<Buffer>) {
          for await (const chunk of source) {
            yield chunk.subarray(0, 10)
            yield chunk.subarray(10)
          }
        },
        sink
      )
      return bytes()
    }
  },
  { name: 'Duplex.from', put: (file) => consumers.buffer(Duplex.from(file.createReadStream())) },
  {
    name: 'a Transform of objects',
    async put(file) {
      const upper = new Transform({
        readableObjectMode: true,
        transform: (chunk, _, done) => done(null, { chunk })
      })
      const parts: { chunk: Buffer }[] = await file.createReadStream().pipe(upper).toArray()
      return join(parts.map(({ chunk }) => chunk))
    }
  },
  {
    name: 'text in an encoding',
    async put(file) {
      let hex = ''
      for await (const text of file.createReadStream().setEncoding('hex')) hex += text
      return Buffer.from(hex, 'hex')
    }
  },
  {
    name: 'two readers at different speeds',
    async put(file) {
      const [fast, slow] = [collector(), new PassThrough({ highWaterMark: 1 })]
      const both = Promise.all([
        pipeline(file.createReadStream(), fast.sink),
        pipeline(file.createReadStream(), slow),
        consumers.buffer(slow)
      ])
      const [, , bytes] = await both
      assert.ok(bytes.equals(fast.bytes()))
      return bytes
    }
  }
]

for (const { name, put } of places) {
  test(`a file still downloading goes into ${name}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.bin': 700_001 })
    const { client: seed } = await bench.seeder(sample)
    const torrent = await bench.client().add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
    const [file] = torrent.files
    assert.ok(file !== undefined)
    const unread = file.createReadStream()
    assert.ok(unread instanceof Readable)
    unread.destroy()
    const out = await put(file, bench)
    const got = out instanceof ArrayBuffer ? new Uint8Array(out) : out
    assert.equal(Buffer.compare(got, sample.data), 0, `${got.length} bytes came out`)
    // A stream closes with its close event, shortly after its last byte.
    await until('all streams to close', () => torrent.streams.length, { is: 0 })
  })
}

interface Leaving {
  readonly name: string
  leave(stream: FileStream, file: TorrentFile): Promise<unknown>
}

const leavings: readonly Leaving[] = [
  {
    name: 'a loop is left',
    async leave(stream) {
      for await (const _ of stream) break
    }
  },
  {
    name: 'a loop throws',
    async leave(stream) {
      const loop = async (): Promise<void> => {
        for await (const _ of stream) throw new Error('enough')
      }
      await assert.rejects(loop(), /enough/)
    }
  },
  {
    name: 'a signal is aborted',
    async leave(stream) {
      const abort = new AbortController()
      addAbortSignal(abort.signal, stream)
      stream.resume()
      await once(stream, 'data')
      abort.abort()
      await assert.rejects(finished(stream), { name: 'AbortError' })
    }
  },
  {
    name: 'a pipeline is aborted',
    async leave(stream) {
      const abort = new AbortController()
      const under = pipeline(stream, collector().sink, { signal: abort.signal })
      await once(stream, 'data')
      abort.abort()
      await assert.rejects(under, { name: 'AbortError' })
    }
  },
  {
    name: 'the sink of a pipeline fails',
    async leave(stream) {
      const sink = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk full')) })
      await assert.rejects(pipeline(stream, sink), /disk full/)
    }
  },
  {
    name: 'a web stream is cancelled',
    async leave(stream) {
      const reader = Readable.toWeb(stream).getReader()
      await reader.read()
      await reader.cancel()
    }
  },
  {
    name: 'the body of a response is cancelled',
    async leave(stream, file) {
      stream.destroy()
      const body = new Response(file.stream()).body?.getReader()
      await body?.read()
      await body?.cancel()
    }
  },
  {
    name: 'a program ends early',
    async leave(stream) {
      const child = spawn(process.execPath, ['-e', 'process.stdin.once("data", () => process.exit(0))'], {
        stdio: ['pipe', 'ignore', 'ignore']
      })
      await pipeline(stream, child.stdin).catch(() => {})
    }
  },
  {
    name: 'take() has enough',
    async leave(stream) {
      assert.equal((await stream.take(1).toArray()).length, 1)
    }
  },
  { name: 'it is disposed of', leave: async (stream) => stream[Symbol.asyncDispose]().catch(() => {}) }
]

for (const { name, leave } of leavings) {
  test(`nothing of a stream is left when ${name}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.bin': 3_000_000 })
    const { client: seed } = await bench.seeder(sample, { uploadLimit: 1_500_000 })
    const torrent = await bench.client().add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
    const [file] = torrent.files
    assert.ok(file !== undefined)
    await leave(file.createReadStream(), file)
    await until('all streams to close', () => torrent.streams.length, { is: 0 })
    // Nothing reads and nothing is selected, so nothing is requested.
    await until('all requests to end', () => !torrent.peers.some(({ requests }) => requests > 0))
    assert.ok(torrent.downloaded < sample.data.length, 'all of it was fetched')
  })
}

test('a file stream emits the same as fs.createReadStream', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.bin': 200_000 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  const [file] = torrent.files
  assert.ok(file !== undefined)
  for (const options of [
    { start: 100 },
    { start: 5, end: 5 },
    { start: 199_000, end: 1e9 },
    { end: 70_000 }
  ]) {
    const [ours, theirs] = await Promise.all([
      consumers.buffer(file.createReadStream(options)),
      consumers.buffer(createReadStream(sample.root, options))
    ])
    assert.ok(ours.equals(theirs), JSON.stringify(options))
  }
})
