import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, FileStorage, type Storage } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { ownPeakRss } from './process-stat.ts'

/** The leecher and its slow disk. */
export interface SlowTask {
  /** Path of the .torrent. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each peer. */
  readonly peers: readonly string[]
  /** Speed of the disk, for reads and writes. */
  readonly bytesPerSecond: number
  /** A download that writes nothing for so long is stuck. */
  readonly patienceMs: number
}

/** Result of the download. */
export interface SlowReport {
  readonly wallSeconds: number
  readonly peakRssBytes: number
  /** Received payload, including repeated blocks. */
  readonly received: number
  /** Bytes written to the disk. */
  readonly written: number
  /** Maximum bytes received and not yet written. */
  readonly mostBehind: number
  readonly heldMs: number
  /** The same, without time in which the machine ran other processes. */
  readonly ownHeldMs?: number | undefined
  /** Whether the download completed. */
  readonly done: boolean
  /** Final progress, 0 to 1. */
  readonly progress: number
}

/** Delays a storage's reads and writes, one after another, like a disk of a given speed. */
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
