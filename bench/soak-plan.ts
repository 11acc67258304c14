import { seededRandom } from './benchmark.ts'

/** One torrent of the run. */
export interface Subject {
  readonly name: string
  readonly pieceLength: number
  readonly length: number
  /** Upload rate of each of its seeds. */
  readonly bytesPerSecond: number
  /** Bytes per second that its reader consumes; undefined without a reader. */
  readonly bitRate?: number
}

/** The time in which one seed can be dialled, in milliseconds from the start of the run. */
export interface Stay {
  readonly fromMs: number
  readonly untilMs: number
}

const kibibyte = 1024
const mebibyte = 1024 * kibibyte

/** Shortest and longest time that a seed stays, and that a torrent has none. */
const stayMs = [20_000, 40_000] as const
const awayMs = [4000, 12_000] as const
/** Overlap of two seeds of a torrent with a reader. */
const handoverMs = 3000

/** All seeds together send 22 MB/s, which leaves most of two cores idle. */
export const subjects: readonly Subject[] = [
  { name: '16 KiB', pieceLength: 16 * kibibyte, length: 128 * mebibyte, bytesPerSecond: 1.5e6 },
  { name: '64 KiB', pieceLength: 64 * kibibyte, length: 128 * mebibyte, bytesPerSecond: 1.5e6 },
  { name: '256 KiB', pieceLength: 256 * kibibyte, length: 128 * mebibyte, bytesPerSecond: 1.5e6 },
  // The films of readers are so long that hardly anything is verified before a reader wants it.
  { name: '1 MiB', pieceLength: mebibyte, length: 4096 * mebibyte, bytesPerSecond: 4e6, bitRate: 1e6 },
  { name: '4 MiB', pieceLength: 4 * mebibyte, length: 128 * mebibyte, bytesPerSecond: 1.5e6 },
  { name: '16 MiB', pieceLength: 16 * mebibyte, length: 4096 * mebibyte, bytesPerSecond: 4e6, bitRate: 1e6 },
  { name: '32 MiB', pieceLength: 32 * mebibyte, length: 192 * mebibyte, bytesPerSecond: 1.5e6 },
  { name: '64 MiB', pieceLength: 64 * mebibyte, length: 256 * mebibyte, bytesPerSecond: 1.5e6 },
  { name: '128 MiB', pieceLength: 128 * mebibyte, length: 384 * mebibyte, bytesPerSecond: 2e6 },
  { name: '512 MiB', pieceLength: 512 * mebibyte, length: 1024 * mebibyte, bytesPerSecond: 3e6 }
]

/** Returns the stays of a torrent's seeds, the same for the same `seed`. Torrents with a reader always have a seed. */
export function staysOf({ bitRate }: Subject, seed: number, minutes: number): Stay[] {
  const random = seededRandom(seed)
  const between = ([least, most]: readonly [number, number]): number => least + random() * (most - least)
  const stays: Stay[] = []
  let fromMs = bitRate === undefined ? between([0, awayMs[1]]) : 0
  while (fromMs < minutes * 60_000) {
    const untilMs = fromMs + between(stayMs)
    stays.push({ fromMs, untilMs })
    fromMs = bitRate === undefined ? untilMs + between(awayMs) : untilMs - handoverMs
  }
  return stays
}
