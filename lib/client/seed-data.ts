import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { types } from 'node:util'
import { safeElement } from '../metainfo/safe-path.ts'
import { optionRefusal } from '../metainfo/scan-files.ts'
import { fromText, isBytes } from '../util/bytes.ts'
import { asError, systemCode, TorrentError } from '../util/errors.ts'
import { makeFolder } from '../util/make-folder.ts'

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
    await pipeline(readableOf(data), createWriteStream(written, { flags: 'wx' }), { signal })
    const there = await stat(file).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error
    })
    if (there === undefined) await rename(written, file)
    else if (await isSame(file, written)) await unlink(written)
    else throw new Error('a file of this name exists with other content')
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

async function isSame(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other)])
  if (!a.isFile() || a.size !== b.size) return false
  const rest = createReadStream(other)[Symbol.asyncIterator]()
  for await (const chunk of createReadStream(one)) {
    const { value } = await rest.next()
    // Both streams have the same chunk size.
    if (!Buffer.from(chunk).equals(value)) {
      await rest.return?.()
      return false
    }
  }
  return true
}
