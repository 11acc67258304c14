import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Source } from './player.ts'

/** A stream opened by an engine. */
export interface OpenStream extends Source {
  close(): void
  /** Continues at another offset, if the engine supports it. */
  seek?(offset: number): void
}

/** The only file of a torrent, as an engine offers it. */
export interface PlayedFile {
  readonly length: number
  open(start: number): OpenStream
  /** Resolves when the file is complete, if the engine can tell. */
  whole?(): Promise<void>
}

/** The paths that an engine needs. */
export interface EngineTask {
  readonly torrent: string
  readonly folder: string
  /** The folder with the other libraries. */
  readonly cache: string
}

/** Loads an engine and returns a function that adds the torrent; only that function is timed. */
export type Engine = (task: EngineTask) => Promise<() => Promise<PlayedFile>>

interface Readable extends AsyncIterable<Uint8Array> {
  destroy?(): void
  on?(event: 'error', listener: () => void): unknown
}

/** Wraps a stream for a player. */
export function streamOf(readable: Readable): OpenStream {
  readable.on?.('error', () => {})
  const iterator = readable[Symbol.asyncIterator]()
  return {
    next: () => iterator.next(),
    close: () => {
      readable.destroy?.()
      iterator.return?.()?.catch(() => {})
    }
  }
}

/** This package. */
const piecewise: Engine = async ({ torrent, folder }) => {
  const { Client } = await import('../lib/index.ts')
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false })
  return async () => {
    const added = await client.add(torrent, { path: folder })
    const [file] = added.files
    if (file === undefined) throw new Error('the torrent has no file')
    return {
      length: file.length,
      open(start) {
        const stream = file.createReadStream({ start })
        return { ...streamOf(stream), seek: (offset) => stream.seek(offset) }
      },
      whole: () => added.whenDone()
    }
  }
}

interface WebTorrentFile {
  readonly length: number
  [Symbol.asyncIterator](range: { start: number; end: number }): AsyncIterator<Uint8Array>
}

interface WebTorrentClient {
  on(event: 'error', listener: (error: Error) => void): void
  add(torrent: string, options: object, then: (torrent: { files: WebTorrentFile[] }) => void): void
}

/** webtorrent 3, without the parts that need the Internet. */
const webtorrent: Engine = async ({ torrent, folder, cache }) => {
  const entry = pathToFileURL(path.join(cache, 'node_modules/webtorrent/index.js')).href
  const { default: WebTorrent }: { default: new (options: object) => WebTorrentClient } = await import(entry)
  const client = new WebTorrent({ dht: false, lsd: false, natUpnp: false, natPmp: false, utp: false })
  return async () => {
    const added = await new Promise<{ files: WebTorrentFile[] }>((resolve, reject) => {
      client.on('error', reject)
      client.add(torrent, { path: folder }, resolve)
    })
    const [file] = added.files
    if (file === undefined) throw new Error('the torrent has no file')
    const { length } = file
    return {
      length,
      open: (start) =>
        streamOf({ [Symbol.asyncIterator]: () => file[Symbol.asyncIterator]({ start, end: length - 1 }) })
    }
  }
}

interface TorrentStreamEngine {
  readonly files: { readonly length: number; createReadStream(options: { start: number }): Readable }[]
  on(event: 'ready', listener: () => void): void
}

/** torrent-stream 1, which downloads only what is read. */
const torrentStream: Engine = async ({ torrent, folder, cache }) => {
  const load: (torrent: Buffer, options: object) => TorrentStreamEngine = createRequire(
    path.join(cache, 'package.json')
  )('torrent-stream')
  return async () => {
    const engine = load(readFileSync(torrent), { path: folder, dht: false })
    await new Promise<void>((resolve) => engine.on('ready', resolve))
    const [file] = engine.files
    if (file === undefined) throw new Error('the torrent has no file')
    return { length: file.length, open: (start) => streamOf(file.createReadStream({ start })) }
  }
}

/**
 * The engines that run in Node, by name. `piecewise-seek` seeks in the open stream instead of opening a new one; `piecewise-whole`
 * continues to play until the file is complete; `piecewise-alone` only downloads it.
 */
export const engines: Readonly<Record<string, Engine>> = {
  piecewise,
  'piecewise-seek': piecewise,
  'piecewise-whole': piecewise,
  'piecewise-alone': piecewise,
  webtorrent,
  'torrent-stream': torrentStream
}
