// Measures the peak memory of parsing, beyond the torrent's own bytes, per byte of the torrent; the limit is 64 MiB and 16 bytes each.
//   node --expose-gc dist/bench/parse-memory.js [MiB]
import { parseTorrentSteps } from '../lib/metainfo/parse-torrent.ts'
import { asError } from '../lib/util/errors.ts'
import { largeTorrents } from '../test/support/large-torrents.ts'

const { gc } = globalThis
if (gc === undefined) throw new Error('Run it with --expose-gc')
const size = Number(process.argv[2] ?? 4) * 2 ** 20
/** Number of memory samples. */
const samples = 30

/** Returns the bytes in use after garbage collection. */
function used(): number {
  gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Parses in steps with a callback before each; returns how it ended. */
function parse(torrent: Uint8Array, onStep: (step: number) => void): string {
  try {
    const steps = parseTorrentSteps(torrent)
    for (let step = 0; ; step++) {
      onStep(step)
      const { done, value } = steps.next()
      if (done === true) return `${value.files.length} files`
    }
  } catch (thrown) {
    return asError(thrown).message
  }
}

console.log('| torrent | MB | peak, bytes a byte | rule | CPU, ms | result |\n|---|---:|---:|---:|---:|---|')
for (const [kind, make] of Object.entries(largeTorrents)) {
  const torrent = make(size)
  let count = 0
  const before = process.cpuUsage()
  const result = parse(torrent, () => count++)
  const { user, system } = process.cpuUsage(before)
  const every = Math.max(1, Math.floor(count / samples))
  // Twice, because buffers are freed after the objects that hold them.
  used()
  const base = used()
  let peak = 0
  parse(torrent, (step) => {
    if (step % every === 0) peak = Math.max(peak, used() - base)
  })
  const rule = (64 * 2 ** 20 + 16 * torrent.length) / torrent.length
  const cells = [torrent.length / 1e6, peak / torrent.length, rule].map((value) => value.toFixed(1))
  console.log(`| ${kind} | ${cells.join(' | ')} | ${((user + system) / 1000).toFixed(0)} | ${result} |`)
}
