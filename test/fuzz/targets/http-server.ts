import type { Server } from 'node:http'
import { Duplex, Readable } from 'node:stream'
import type { Torrent } from '../../../lib/index.ts'
import { createServer } from '../../../lib/server.ts'
import type { Target } from '../target.ts'

const hash = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a'
/**
 * Rounds of the event loop within which an answer must begin or the connection end. Event streams never end.
 */
const mostRounds = 200

const files = ['movie.mkv', 'Extras/\u00e9 1.srt', 'empty'].map((path, n) => {
  const length = n === 2 ? 0 : 1000 * (n + 1)
  return {
    path,
    name: path.split('/').at(-1),
    length,
    offset: 0,
    type: n === 0 ? 'video/x-matroska' : 'text/plain',
    progress: 1,
    selected: true,
    createReadStream: ({ start = 0, end = length - 1 } = {}) => Readable.from([Buffer.alloc(end + 1 - start)])
  }
})

/** The parts of a torrent that the server uses, without any data. */
const torrent = {
  infoHash: hash,
  name: 'A film',
  status: 'seeding',
  length: 3000,
  files,
  streams: [],
  peers: [],
  pieceCount: 1,
  pieceCells: new Uint8Array(1),
  pieceLength: 16384,
  magnetURI: `magnet:?xt=urn:btih:${hash}`,
  timeRemaining: 0,
  pause: () => {},
  resume: () => {},
  select: () => {},
  deselect: () => {}
}

let server: Server | undefined

/** Returns the server for all inputs; it does not listen. */
function theServer(): Server {
  server ??= createServer(torrent as unknown as Torrent, { cors: '*' })
  return server
}

/** A connection in memory. */
class Connection extends Duplex {
  readonly #chunks: Buffer[] = []

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk)
    done()
  }

  /** Everything answered so far. */
  get answer(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  // Methods of a socket that the server calls.
  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }
}

/** Bytes of a connection to the HTTP server: it serves, or answers with a client error. */
export const httpServer: Target = {
  name: 'http-server',
  grammar: 'text',
  corpus: ['http-server'],
  words: [
    ...[
      'GET ',
      'HEAD ',
      'POST ',
      'DELETE ',
      'OPTIONS ',
      ' HTTP/1.1\r\n',
      ' HTTP/1.0\r\n',
      '\r\n\r\n',
      'Host: localhost\r\n'
    ],
    ...[
      'Range: bytes=0-1\r\n',
      'If-None-Match: *\r\n',
      'Content-Length: 2\r\n',
      'Transfer-Encoding: chunked\r\n',
      'X-Piecewise: 1\r\n'
    ],
    ...[
      'Expect: 100-continue\r\n',
      'Connection: close\r\n',
      'Origin: http://localhost\r\n',
      'Content-Type: application/json\r\n'
    ],
    ...[
      `/${hash}/`,
      `/${hash}.m3u`,
      `/api/torrents/${hash}/select`,
      '/api/events',
      '/movie.mkv',
      '/0',
      '{"files":[0]}'
    ]
  ],
  maxBytes: 64 << 10,
  async run(input, check) {
    const connection = new Connection()
    connection.on('error', () => {})
    const most = Math.max(check.random.pick([1, 300, 1 << 20]), Math.ceil(input.length / 100))
    await check.turns(async () => {
      theServer().emit('connection', connection)
      for (let at = 0; at < input.length && !connection.destroyed; at += most)
        connection.push(input.subarray(at, at + most))
      connection.push(null)
      for (let round = 0; round < mostRounds && !connection.destroyed; round++)
        await new Promise((resolve) => setImmediate(resolve))
      connection.destroy()
    })
    const text = connection.answer.toString('latin1')
    const statuses = [...text.matchAll(/(?:^|\n)HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
    for (const status of statuses) check.that(status !== 500 && status < 600, `the answer is ${status}`)
    check.that(text === '' || /^HTTP\/1\.1 \d{3} /.test(text), 'an answer does not begin with its status')
    const [head = ''] = text.split('\r\n\r\n')
    const names = [...head.matchAll(/^([\w-]+):/gm)].map(([, name = '']) => name.toLowerCase())
    return {
      [statuses.slice(0, 4).join(' ')]: Object.fromEntries([...new Set(names)].map((name) => [name, 1]))
    }
  }
}
