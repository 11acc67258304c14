import { dirname, sep } from 'node:path'

/** A folder that was found or created. */
export interface RealFolder {
  /** Path as requested. */
  readonly nominal: string
  /** Path without symbolic links. */
  readonly path: string
  readonly dev: bigint
  readonly ino: bigint
}

/** Device and inode of a file or folder. */
type Inode = Pick<RealFolder, 'dev' | 'ino'>

/** Returns whether two stats are of the same file or folder. */
export function isSameInode(a: Inode, b: Inode): boolean {
  return a.dev === b.dev && a.ino === b.ino
}

/** Returns the parent of an absolute path. Faster than `dirname`, which takes most of the time when there are very many files. */
export function parentOf(path: string): string {
  const end = sep === '/' ? path.lastIndexOf(sep) : 0
  return end > 0 ? path.slice(0, end) : dirname(path)
}

/** Returns whether an absolute path is a folder or below it. */
export function isBelow(path: string, folder: string): boolean {
  if (!path.startsWith(folder)) return false
  return path.length === folder.length || folder.endsWith(sep) || path[folder.length] === sep
}
