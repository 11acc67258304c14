import path from 'node:path'

/** Containers whose index is often at their end: MP4's `moov`, Matroska's cues, AVI's `idx1`, Ogg's last page. */
const indexed = new Set('.3gp .avi .m4a .m4b .m4v .mka .mkv .mov .mp4 .oga .ogg .ogv .opus .webm'.split(' '))
const leastBytes = 64 << 10
const mostBytes = 2 << 20

/** Returns the number of bytes at the end of a file that a player is likely to read before it shows anything; 0 for other files. */
export function containerIndexBytes(name: string, length: number): number {
  if (!indexed.has(path.extname(name).toLowerCase())) return 0
  return Math.min(length, Math.max(leastBytes, Math.min(mostBytes, Math.floor(length / 256))))
}
