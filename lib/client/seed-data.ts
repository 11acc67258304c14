import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { type FileHandle, link, open, rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { types } from 'node:util'
import { safeElement } from '../metainfo/safe-path.ts'
import { optionRefusal } from '../metainfo/scan-files.ts'
import { readAll } from '../storage/storage-fs.ts'
import { equalBytes, fromText, isBytes } from '../util/bytes.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'
import { show } from '../util/show.ts'

const compareBytes = 262_144

/** Data to seed that is not in a file: bytes, a Blob, or a stream of bytes (a Readable, a web stream, any async iterable). */
export type SeedData = Uint8Array | ArrayBuffer | Blob | AsyncIterable<Uint8Array>

/** Options of {@link writeSeedData}. */
export interface SeedDataOptions {
  /** Name of the file; required. */
  readonly name: string | undefined
  /** Returns the folder of the file; it is created if it is missing. */
  readonly folder: () => Promise<string>
  readonly signal: AbortSignal | undefined
}

/** Returns whether a source of `seed` is data and not a path. */
export function isSeedData(given: unknown): given is SeedData {
  if (isBytes(given) || types.isAnyArrayBuffer(given)) return true
  return typeof given === 'object' && given !== null && (Symbol.asyncIterator in given || isBlob(given))
}

/**
 * Writes data to a file and returns its path. An existing file of this name is used if it has the same bytes, and is never overwritten.
 * Deletes what it has written if it fails.
 * @throws TorrentError ERR_METAINFO_CREATE if there is no safe name, the file cannot be written, or exists with other bytes; the signal's reason.
 */
export async function writeSeedData(data: SeedData, options: SeedDataOptions): Promise<string> {
  const { name, signal } = options
  signal?.throwIfAborted()
  if (name === undefined) throw optionRefusal('name', 'bytes and streams need a name')
  if (safeElement(fromText(name)) !== name) throw optionRefusal('name', `'${name}' is not a safe file name`)
  const folder = await options.folder()
  const file = path.join(folder, name)
  const written = path.join(folder, `.${randomBytes(6).toString('hex')}.piecewise-new`)
  try {
    await makeFolder(folder)
    await pipeline(readableOf(data), checkedChunks, createWriteStream(written, { flags: 'wx' }), { signal })
    if (!(await takeName(written, file))) {
      if (!(await isSame(file, written, signal)))
        throw new Error('a file of this name exists with other content')
      await unlink(written)
    }
  } catch (thrown) {
    await unlink(written).catch(() => {})
    signal?.throwIfAborted()
    const cause = asError(thrown)
    throw new TorrentError(
      'ERR_METAINFO_CREATE',
      `Cannot make a torrent: '${file}' cannot be written: ${cause.message}`,
      {
        cause,
        details: { path: file }
      }
    )
  }
  return file
}

function readableOf(data: SeedData): Readable {
  if (isBytes(data)) return Readable.from([data])
  if (types.isAnyArrayBuffer(data)) return Readable.from([new Uint8Array(data)])
  const chunks = isBlob(data) ? data.stream() : data
  return chunks instanceof Readable ? chunks : Readable.from(chunks)
}

function isBlob(given: object): given is Blob {
  return 'arrayBuffer' in given && 'stream' in given && 'size' in given
}

/** Throws for a chunk that is neither text nor bytes: in `pipe`, `write` would throw in an event handler and end the process. */
async function* checkedChunks(chunks: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  for await (const chunk of chunks) {
    if (typeof chunk !== 'string' && !ArrayBuffer.isView(chunk))
      throw new Error(`the stream yields ${show(chunk)}, which is not bytes`)
    yield chunk
  }
}

/** Renames a file unless the new name is taken; returns whether it did. Unlike `rename`, never replaces what another call has made. */
async function takeName(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to).catch(async (error: unknown) => {
      if (systemCode(error) === 'EEXIST') throw error
      // Without hard links, as on FAT, an empty file reserves the name.
      await (await open(to, 'wx')).close()
      await rename(from, to).catch(async (thrown: unknown) => {
        await unlink(to).catch(() => {})
        throw thrown
      })
    })
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
  await unlink(from).catch(() => {})
  return true
}

async function isSame(one: string, other: string, signal: AbortSignal | undefined): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)])
  if (!a.isFile() || a.size !== b.size) return false
  const files: FileHandle[] = []
  try {
    for (const name of [one, other]) files.push(await open(name))
    const buffers = files.map(() => new Uint8Array(compareBytes))
    for (let at = 0; at < a.size; at += compareBytes) {
      signal?.throwIfAborted()
      const [x, y] = await Promise.all(
        files.map(async (file, n) => {
          const buffer = buffers[n] ?? new Uint8Array(0)
          return buffer.subarray(0, await readAll(file, buffer, at))
        })
      )
      if (x === undefined || y === undefined || !equalBytes(x, y)) return false
    }
    return true
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}
