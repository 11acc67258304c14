import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'

/** An entry of a folder tree. */
export interface TreeEntry {
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** Device and inode. */
  readonly id: string
  /** Everything that a change would show: the mode; content and time of files; the target of links. */
  readonly state: string
}

/** Returns everything below a folder by its relative path. Does not follow links. */
export function treeOf(folder: string, below = ''): Map<string, TreeEntry> {
  const found = new Map<string, TreeEntry>()
  for (const name of readdirSync(path.join(folder, below))) {
    const at = path.join(below, name)
    const real = path.join(folder, at)
    const stats = lstatSync(real, { bigint: true })
    const id = `${stats.dev}:${stats.ino}`
    const mode = stats.mode.toString(8)
    if (stats.isDirectory()) {
      found.set(at, { kind: 'folder', id, state: mode })
      for (const [inside, entry] of treeOf(folder, at)) found.set(inside, entry)
    } else if (stats.isFile()) {
      const digest = createHash('sha1').update(readFileSync(real)).digest('hex')
      found.set(at, { kind: 'file', id, state: `${mode} ${stats.mtimeNs} ${digest}` })
    } else if (stats.isSymbolicLink()) {
      found.set(at, { kind: 'link', id, state: readlinkSync(real) })
    } else found.set(at, { kind: 'other', id, state: mode })
  }
  return found
}
