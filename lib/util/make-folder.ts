import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCode } from './errors.ts'

/**
 * Makes a folder and those above it that are missing, as `mkdir` of `node:fs` does with `recursive`, and returns the first one made, or
 * undefined. Step by step, because that one never returns where an existing folder answers ENOENT, as those in /proc do: it occupies
 * a thread for ever, and the process cannot end.
 * @throws the system's error.
 */
export async function makeFolder(
  path: string,
  { mode = 0o777 }: { readonly mode?: number } = {}
): Promise<string | undefined> {
  const missing: string[] = []
  let first: string | undefined
  for (let folder = resolve(path); !(await isFolder(folder)); folder = dirname(folder)) {
    if (dirname(folder) === folder) break
    missing.push(folder)
  }
  for (const folder of missing.reverse()) {
    try {
      await mkdir(folder, { mode })
      first ??= folder
    } catch (error) {
      // Somebody else may have made it meanwhile.
      if (systemCode(error) !== 'EEXIST' || !(await isFolder(folder))) throw error
    }
  }
  return first
}

/**
 * Makes a folder in one that is there.
 * @throws the system's error, EEXIST where anything has the name.
 */
export async function makeOneFolder(
  path: string,
  { mode = 0o777 }: { readonly mode?: number } = {}
): Promise<void> {
  await mkdir(path, { mode })
}

/** @throws the system's error, unless the path or a part of it is missing. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw error
  }
}
