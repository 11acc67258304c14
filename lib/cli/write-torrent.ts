import path from 'node:path'
import { replaceWithoutFolderSync } from '../storage/atomic-write.ts'
import { nodeFs, syncFolder } from '../storage/storage-fs.ts'
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
  try {
    await replaceWithoutFolderSync(nodeFs, out, bytes, `.${process.pid}.tmp`, 0o666)
    await syncFolder(nodeFs, path.dirname(out))
  } catch (cause) {
    throw new TorrentError('ERR_STORAGE_WRITE', `'${out}' could not be written: ${asError(cause).message}`, {
      cause
    })
  }
}
