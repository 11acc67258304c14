import { existsSync } from 'node:fs'
import path from 'node:path'

/** Returns the folder of the project, from sources and from compiled tests. */
export function findRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return folder
}
