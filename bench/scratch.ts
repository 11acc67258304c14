import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** What the parts take. */
const usualBytes = 3 * 2 ** 30

/**
 * Makes an empty folder that is removed when the process ends: in `parent` if that is given, else on a file system in memory
 * if there is one with so many bytes to spare (3 GiB by default), so that the disk's noise is kept out, else in the folder for temporary
 * files.
 */
export function scratchFolder(parent?: string, neededBytes: number = usualBytes): string {
  const folder = mkdtempSync(path.join(parent ?? fastFolder(neededBytes), 'piecewise-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  return folder
}

function fastFolder(neededBytes: number): string {
  const inMemory = '/dev/shm'
  try {
    accessSync(inMemory, constants.W_OK)
    const { bavail, bsize } = statfsSync(inMemory)
    if (bavail * bsize >= neededBytes) return inMemory
  } catch {
    // No such thing on this system.
  }
  return tmpdir()
}
