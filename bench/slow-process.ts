import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, FileStorage, type Storage } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** What the leecher with the slow disk is told. */
export interface SlowTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each. */
  readonly peers: readonly string[]
  /** What the disk takes and gives. */
  readonly bytesPerSecond: number
  /** A download that gets nothing to the disk for so long is stuck. */
  readonly patienceMs: number
}

/** What became of it. */
export interface SlowReport {
  readonly wallSeconds: number
  readonly peakRssBytes: number
  /** Payload that came, also twice. */
  readonly received: number
  /** Written to the disk. */
  readonly written: number
  /** Most that had come and was not on the disk yet. */
  readonly mostBehind: number
  readonly heldMs: number
  /** The same but for the time in which the machine ran others. */
  readonly ownHeldMs?: number | undefined
  /** Whether it ended with everything. */
  readonly done: boolean
  /** Where it stood, 0 to 1. */
  readonly progress: number
}

/** Delays a storage's reads and writes, one after the other, as a disk of a certain speed would. */
class SlowDisk {
  readonly #bytesPerSecond: number
  #freeAtMs = 0
  written = 0

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond
  }

  wrap(storage: Storage): Storage {
    const inner = storage
    return {
      open: (layout, wanted) => inner.open(layout, wanted),
      select: async (wanted) => inner.select?.(wanted),
      read: async (byteOffset, target, signal) => {
        await this.#turn(target.byteLength)
        return inner.read(byteOffset, target, signal)
      },
      write: async (byteOffset, chunks) => {
        const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
        await this.#turn(length)
        await inner.write(byteOffset, chunks)
        this.written += length
      },
      sync: () => inner.sync(),
      close: () => inner.close(),
      delete: () => inner.delete()
    }
  }

  async #turn(bytes: number): Promise<void> {
    const now = performance.now()
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + (bytes / this.#bytesPerSecond) * 1000
    await sleep(this.#freeAtMs - now)
  }
}

answerCalls({
  async download({ torrent, folder, peers, bytesPerSecond, patienceMs }: SlowTask): Promise<SlowReport> {
    const start = performance.now()
    const disk = new SlowDisk(bytesPerSecond)
    const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, pex: false })
    const delay = new LoopDelay()
    const files = new FileStorage({ path: folder, partsPath: path.join(folder, 'parts') })
    const added = await client.add(torrent, { path: folder, peers, storage: disk.wrap(files) })
    let mostBehind = 0
    let lastWritten = -1
    let lastAtMs = start
    const stuck = new AbortController()
    const watch = setInterval(() => {
      mostBehind = Math.max(mostBehind, added.received - disk.written)
      const now = performance.now()
      if (disk.written !== lastWritten) {
        lastWritten = disk.written
        lastAtMs = now
      } else if (now - lastAtMs > patienceMs) stuck.abort()
    }, 50)
    const done = await added.whenDone({ signal: stuck.signal }).then(
      () => true,
      (error) => {
        if (stuck.signal.aborted) return false
        throw error
      }
    )
    clearInterval(watch)
    const wallSeconds = (performance.now() - start) / 1000
    const { received, progress } = added
    const { maxMs, ownMaxMs } = delay.stop()
    if (done) await client.close()
    return {
      wallSeconds,
      peakRssBytes: ownPeakRss(),
      received,
      written: disk.written,
      mostBehind,
      heldMs: maxMs,
      ownHeldMs: ownMaxMs,
      done,
      progress
    }
  }
})
