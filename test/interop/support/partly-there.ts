// A torrent in mid-download, and its server that players read from.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import type { Server } from 'node:http'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Client, type ClientOptions, type Torrent } from '../../../lib/index.ts'
import { createServer, type ServerOptions } from '../../../lib/server.ts'
import { until } from '../../support/until.ts'
import { temporaryFolder } from './data.ts'
import { run } from './process.ts'

/** Fixtures of a player test. Everything is closed after the test, in reverse order. */
export class PartlyThere {
  /** A folder that is removed after the test. */
  readonly folder: string
  readonly #ends: (() => unknown)[] = []
  #count = 0

  constructor(t: TestContext, label: string) {
    const { folder, remove } = temporaryFolder(label)
    this.folder = folder
    this.#ends.push(remove)
    t.after(async () => {
      for (const end of this.#ends.reverse()) await end()
    })
  }

  /** Registers cleanup for the end of the test; the last registered runs first. */
  after(end: () => unknown): void {
    this.#ends.push(end)
  }

  /** Starts a client on loopback with a folder of its own. */
  client(options: ClientOptions = {}): Client {
    const own = path.join(this.folder, `client${++this.#count}`)
    mkdirSync(own)
    const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, path: own, ...options })
    this.after(() => client.close())
    return client
  }

  /** Starts seeders of a file or folder, one for each upload limit. */
  async seeders(data: string, uploadLimits: readonly number[], pieceLength = 65536): Promise<Seeders> {
    const clients: Client[] = []
    let bytes: Uint8Array | undefined
    for (const uploadLimit of uploadLimits) {
      const client = this.client({ uploadLimit })
      clients.push(client)
      bytes = (await client.seed(data, { pieceLength, creationDate: false })).torrentFile
    }
    assert.ok(bytes !== undefined)
    return { clients, bytes, peers: clients.map(({ port }) => `127.0.0.1:${port}`) }
  }

  /** Starts a torrent with slow seeders. Resolves with the URL of its server, without a final slash. */
  async serve(data: string, uploadLimits: readonly number[], pieceLength?: number): Promise<Served> {
    const seeders = await this.seeders(data, uploadLimits, pieceLength)
    const torrent = await this.client().add(seeders.bytes, { peers: seeders.peers })
    return { ...seeders, torrent, origin: await this.listen(torrent) }
  }

  /** Serves a torrent or client. Resolves with the URL without a final slash. */
  async listen(source: Client | Torrent, options?: ServerOptions): Promise<string> {
    return `http://127.0.0.1:${portOf(await this.server(source, options))}`
  }

  /** Starts a server that listens on this port, 0 for any. */
  async server(source: Client | Torrent, options: ServerOptions = {}, port = 0): Promise<Server> {
    const server = createServer(source, options).listen(port)
    this.after(() => server.close())
    await once(server, 'listening')
    return server
  }
}

/** Returns the port on which a server listens. */
export function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Clients that have the data. */
export interface Seeders {
  readonly clients: readonly Client[]
  /** The .torrent. */
  readonly bytes: Uint8Array
  readonly peers: readonly string[]
}

/** {@link Seeders}, and the torrent that downloads from them. */
export interface Served extends Seeders {
  readonly torrent: Torrent
  readonly origin: string
}

/** Removes the upload limits of the seeders. */
export function hurry({ clients }: Seeders): void {
  for (const client of clients) client.uploadLimit = Number.POSITIVE_INFINITY
}

/** Resolves when no stream of the torrent is open: a reader that leaves must leave none behind. */
export async function untilUnread(torrent: Torrent): Promise<void> {
  await until('all streams to close', () => torrent.streams.length === 0, { timeoutMs: 10_000, everyMs: 5 })
}

/**
 * Makes a film of moving test pictures and a tone. The extension selects the container, `codecs` its content.
 */
export function makeFilm(file: string, seconds: number, codecs: readonly string[]): void {
  mkdirSync(path.dirname(file), { recursive: true })
  run([
    ...['ffmpeg', '-v', 'error', '-nostdin'],
    ...['-f', 'lavfi', '-i', `testsrc2=size=640x360:rate=25:duration=${seconds}`],
    ...['-f', 'lavfi', '-i', `sine=duration=${seconds}`],
    ...codecs,
    file
  ])
}
