import { dirname } from 'node:path'
import {
  isMissing,
  makeSyncedFolder,
  openFlags,
  readAll,
  type StorageFs,
  syncFolder,
  writeAll
} from './storage-fs.ts'

interface Syncs {
  running: Promise<void>
  next: Promise<void> | undefined
}

/** Running folder syncs; replacements made meanwhile share the next one. */
const syncs = new WeakMap<StorageFs, Map<string, Syncs>>()

/** Returns the path where the next content of a file is written before it is renamed. */
export function temporaryPath(path: string): string {
  return `${path}.tmp`
}

/**
 * Replaces a file atomically: a crash leaves the old content or the new. Resolves when the new content is on disk. Creates a missing folder
 * with mode 0o700.
 */
export async function replaceFile(fs: StorageFs, path: string, bytes: Uint8Array): Promise<void> {
  await makeSyncedFolder(fs, dirname(path), 0o700)
  await replaceWithoutFolderSync(fs, path, bytes)
  await syncTogether(fs, dirname(path))
}

/**
 * Replaces a file as {@link replaceFile} does, but in an existing folder that the caller syncs, once for many files. Concurrent
 * replacements of the same file need different `suffix`es. The file gets `mode`, by default that of private files.
 */
export async function replaceWithoutFolderSync(
  fs: StorageFs,
  path: string,
  bytes: Uint8Array,
  suffix = '.tmp',
  mode = 0o600
): Promise<void> {
  const next = `${path}${suffix}`
  try {
    const handle = await fs.open(next, openFlags.replace, mode)
    try {
      await writeAll(handle, [bytes], 0)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await fs.rename(next, path)
  } catch (error) {
    await fs.unlink(next).catch(() => {})
    throw error
  }
}

/** Returns the whole content of a file, undefined when there is none; throws for more than `maxBytes`. */
export async function readWhole(
  fs: StorageFs,
  path: string,
  maxBytes: number
): Promise<Uint8Array | undefined> {
  try {
    const handle = await fs.open(path, openFlags.read)
    try {
      const { size } = await handle.stat({ bigint: true })
      if (size > BigInt(maxBytes)) throw new Error(`it has ${size} bytes, more than ${maxBytes}`)
      const bytes = new Uint8Array(Number(size))
      return bytes.subarray(0, await readAll(handle, bytes, 0))
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Syncs a folder; calls made while another sync runs share the next one. */
function syncTogether(fs: StorageFs, folder: string): Promise<void> {
  let ofFs = syncs.get(fs)
  if (ofFs === undefined) syncs.set(fs, (ofFs = new Map()))
  const folders = ofFs
  const begin = (): Promise<void> => {
    const entry: Syncs = { running: syncFolder(fs, folder), next: undefined }
    folders.set(folder, entry)
    const forget = (): void => {
      if (entry.next === undefined) folders.delete(folder)
    }
    entry.running.then(forget, forget)
    return entry.running
  }
  const known = folders.get(folder)
  if (known === undefined) return begin()
  known.next ??= known.running.catch(() => {}).then(begin)
  return known.next
}
