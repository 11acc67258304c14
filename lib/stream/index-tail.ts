import path from 'node:path'

/** Files of these kinds often keep their index behind their data: MP4's `moov`, Matroska's cues, AVI's `idx1`, Ogg's last page. */
const indexed = new Set('.3gp .avi .m4a .m4b .m4v .mka .mkv .mov .mp4 .oga .ogg .ogv .opus .webm'.split(' '))
const leastBytes = 64 << 10
const mostBytes = 2 << 20

/** How many bytes at the end of a file a player is likely to want before it shows anything; 0 where it needs none. */
export function indexTailBytes(name: string, length: number): number {
  if (!indexed.has(path.extname(name).toLowerCase())) return 0
  return Math.min(length, Math.max(leastBytes, Math.min(mostBytes, Math.floor(length / 256))))
}
