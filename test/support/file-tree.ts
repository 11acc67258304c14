import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'

/** What stands at a path. */
export interface TreeEntry {
  readonly kind: 'file' | 'folder' | 'link' | 'other'
  /** Device and inode. */
  readonly id: string
  /** All of it that a change would show: mode, and of files content and time, of links the target. */
  readonly state: string
}

/** Everything below a folder by its relative path; links are not followed. */
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
