import { accessSync, constants, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** Space that the benchmarks need by default. */
const usualBytes = 3 * 2 ** 30

/**
 * Creates an empty folder that is removed when the process exits: in `parent` if given; else on a file system in memory with enough
 * free space (default 3 GiB), to avoid the noise of a disk; else in the folder for temporary files.
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
    // This system has no such file system.
  }
  return tmpdir()
}
