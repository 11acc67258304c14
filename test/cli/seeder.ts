import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { Client, type ClientOptions, type Torrent } from '../../lib/index.ts'

/** Returns random-looking bytes that depend on length and seed alone. */
export function bytesOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let state = seed | 1
  for (let n = 0; n < length; n++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    bytes[n] = state >>> 24
  }
  return bytes
}

/** A seeding client in this process. */
export interface Seeder {
  readonly client: Client
  readonly torrent: Torrent
  /** `host:port`. */
  readonly address: string
  /** A .torrent on disk. */
  readonly torrentPath: string
  readonly magnet: string
}

/**
 * Writes files below `folder`/source/`name` and seeds them on loopback. One entry with the torrent's name
 * makes a single-file torrent.
 */
export async function seedFiles(
  t: TestContext,
  folder: string,
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
  options: ClientOptions & { readonly pieceLength?: number } = {}
): Promise<Seeder> {
  const { pieceLength = 32768, ...clientOptions } = options
  const root = path.join(folder, 'source')
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    writeFileSync(path.join(root, file), bytes)
  }
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, ...clientOptions })
  t.after(() => client.close())
  const torrent = await client.seed(path.join(root, name), { pieceLength })
  const torrentPath = path.join(folder, `${torrent.infoHash}.torrent`)
  writeFileSync(torrentPath, torrent.torrentFile ?? '')
  const address = `127.0.0.1:${client.port}`
  return { client, torrent, address, torrentPath, magnet: `${torrent.magnetURI}&x.pe=${address}` }
}
