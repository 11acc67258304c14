import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { systemCode } from './errors.ts'

/**
 * Creates a folder and its missing parents, like `mkdir` of `node:fs` with `recursive`. Returns the first
 * folder created, or undefined. Works step by step, because recursive `mkdir` never returns where an existing
 * folder answers ENOENT (as in /proc): it blocks a thread forever, and the process cannot exit.
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
      // Another process may have created it meanwhile.
      if (systemCode(error) !== 'EEXIST' || !(await isFolder(folder))) throw error
    }
  }
  return first
}

/**
 * Creates a folder in an existing one.
 * @throws the system's error; EEXIST if the name exists.
 */
export async function makeOneFolder(
  path: string,
  { mode = 0o777 }: { readonly mode?: number } = {}
): Promise<void> {
  await mkdir(path, { mode })
}

/** Returns whether the path is a folder; false if it does not exist. @throws any other system error. */
async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false
    throw error
  }
}
