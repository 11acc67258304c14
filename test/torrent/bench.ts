import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Client } from '../../lib/client/client.ts'
import type { ClientOptions } from '../../lib/client/options.ts'
import { createTorrent } from '../../lib/metainfo/create-torrent.ts'
import type { Metainfo } from '../../lib/metainfo/metainfo.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { scanFiles } from '../../lib/metainfo/scan-files.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'

/** Files on disk and the torrent made of them. */
export interface Sample {
  /** The shared file or folder. */
  readonly root: string
  /** The folder that contains `root`: a path at which the data is complete. */
  readonly folder: string
  /** A .torrent. */
  readonly bytes: Uint8Array
  readonly metainfo: Metainfo
  /** All bytes in torrent order. */
  readonly data: Uint8Array
}

/** Options of a sample. */
export interface SampleOptions {
  readonly pieceLength?: number
  readonly private?: boolean
  readonly trackers?: readonly string[]
}

/** Fixtures of a swarm test. Everything is closed and removed after the test, in reverse order. */
export class Bench {
  readonly #ends: (() => unknown)[] = []
  #folders = 0
  readonly #root: string

  constructor(t: TestContext) {
    this.#root = mkdtempSync(path.join(tmpdir(), 'piecewise-swarm-'))
    this.after(() => rmSync(this.#root, { recursive: true, force: true, maxRetries: 3 }))
    t.after(async () => {
      for (const end of this.#ends.reverse()) await end()
    })
  }

  /** Registers cleanup for the end of the test; the last registered runs first. */
  after(end: () => unknown): void {
    this.#ends.push(end)
  }

  /** Makes an empty folder. */
  folder(): string {
    const folder = path.join(this.#root, `folder${++this.#folders}`)
    mkdirSync(folder)
    return folder
  }

  /**
   * Starts a client on loopback with its data in a folder of its own. It meets only the peers that the test
   * names.
   */
  client(options: ClientOptions = {}): Client {
    const alone = { host: '127.0.0.1', dht: false, lsd: false, pex: false }
    const client = new Client({ ...alone, path: this.folder(), ...options })
    this.after(() => client.close())
    return client
  }

  /**
   * Makes random files by path and length, and their torrent. One path without a folder makes a single-file
   * torrent.
   */
  async sample(files: Record<string, number>, options: SampleOptions = {}): Promise<Sample> {
    const folder = this.folder()
    for (const [name, length] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name)), { recursive: true })
      writeFileSync(path.join(folder, name), randomFillSync(new Uint8Array(length)))
    }
    const [first = ''] = readdirSync(folder)
    return this.sampleOf(path.join(folder, first), options)
  }

  /** Makes the torrent of a file or folder on disk. */
  async sampleOf(root: string, options: SampleOptions = {}): Promise<Sample> {
    const bytes = await createTorrent(root, { pieceLength: 32768, creationDate: false, ...options })
    const { files } = await scanFiles(root)
    // Not a Buffer, whose slices are views.
    const data = new Uint8Array(Buffer.concat(files.map(({ diskPath }) => readFileSync(diskPath))))
    return { root, folder: path.dirname(root), bytes, metainfo: parseTorrent(bytes), data }
  }

  /** Starts a client that has the whole sample. */
  async seeder(sample: Sample, options: ClientOptions = {}): Promise<{ client: Client; torrent: Torrent }> {
    const client = this.client(options)
    const { pieceLength } = sample.metainfo
    const torrent = await client.seed(sample.root, {
      pieceLength,
      creationDate: false,
      private: sample.metainfo.private
    })
    assert.equal(torrent.infoHash, Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex'))
    return { client, torrent }
  }
}

/** Returns the address of a client. */
export function addressOf(client: Client): string {
  return `127.0.0.1:${client.port}`
}

/** Asserts that a torrent's files on disk equal the sample, which has no pad files. */
export function assertSame(torrent: Torrent, sample: Sample): void {
  for (const { path: name, length, pad } of sample.metainfo.files) {
    if (pad) continue
    const file = path.join(torrent.path, name)
    assert.equal(statSync(file).size, length, `length of ${name}`)
    assert.ok(readFileSync(file).equals(readFileSync(path.join(sample.folder, name))), `bytes of ${name}`)
  }
}

/** Returns the bytes of a file of the sample. */
export function bytesOf(sample: Sample, name: string): Buffer {
  return readFileSync(path.join(sample.folder, name))
}

/** Returns whether the bytes read are the expected ones. */
export function same(got: ArrayBuffer | undefined, expected: Uint8Array): boolean {
  return got !== undefined && Buffer.from(got).equals(expected)
}

/** Starts a web server on loopback and returns its URL without a path. */
export async function serve(bench: Bench, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bench.after(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
