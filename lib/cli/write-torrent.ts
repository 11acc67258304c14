import { open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { asError, TorrentError } from '../util/errors.ts'
import { usageError } from './usage-error.ts'

/**
 * Checks that writing a .torrent to `out` does not replace a shared file.
 * @throws TorrentError ERR_CLI_USAGE
 */
export function checkOut(out: string, paths: readonly string[]): void {
  if (paths.some((one) => path.resolve(one) === path.resolve(out))) {
    throw usageError(`--out '${out}' is one of the shared files: choose another file`)
  }
}

/**
 * Writes a .torrent atomically; resolves when it is on disk.
 * @throws TorrentError ERR_STORAGE_WRITE when that fails.
 */
export async function writeTorrent(out: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${out}.${process.pid}.tmp`
  try {
    const handle = await open(temporary, 'w+')
    try {
      await handle.writeFile(bytes)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(temporary, out)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw new TorrentError('ERR_STORAGE_WRITE', `'${out}' could not be written: ${asError(cause).message}`, {
      cause
    })
  }
  await syncFolder(path.dirname(out))
}

/** Flushes the names in a folder to disk, where the system can: Windows and some network file systems cannot. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined)
  await handle?.sync().catch(() => {})
  await handle?.close()
}
