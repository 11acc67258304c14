import { setTimeout as sleep } from 'node:timers/promises'

const mebibyte = 1 << 20
/** Default buffer of a player, in seconds. */
const usualBufferSeconds = 10
const patienceMs = 60_000

/** The waits of a viewer in one part of a film. */
export interface PartReport {
  /** From the click to the first MiB, in milliseconds; null if it never came. */
  readonly firstMebibyteMs: number | null
  readonly stalls: number
  readonly stallMs: number
  /** When each stall began, in milliseconds after the first MiB. */
  readonly stalledAtMs?: readonly number[]
  readonly readBytes: number
}

/** Reports chunks that differ from the original. */
export interface ChunkComparer {
  compare(byteOffset: number, chunk: Uint8Array): void
}

/** Chunks of a file from an offset on. */
export interface Source {
  next(): Promise<IteratorResult<Uint8Array, unknown>>
}

/**
 * Plays a source like a video player: waits for the first MiB, then consumes at a constant rate and counts the times that the buffer
 * is empty. `jump` continues at another offset, of the same source or of a new one.
 */
export class Player {
  readonly #bytesPerSecond: number
  readonly #comparer: ChunkComparer
  readonly #bufferSeconds: number
  #offset = 0
  #got = 0
  #playedSeconds = 0
  #beganMs = 0
  #firstMs: number | null = null
  #reading = 0

  /** A player for a film with this bit rate. */
  constructor(bytesPerSecond: number, comparer: ChunkComparer, bufferSeconds: number = usualBufferSeconds) {
    this.#bytesPerSecond = bytesPerSecond
    this.#comparer = comparer
    this.#bufferSeconds = bufferSeconds
  }

  /** Starts to play at an offset; the click was at `beganMs`. Without a source, continues to read the current one. */
  jump(offset: number, beganMs: number, source?: Source): void {
    this.#offset = offset
    this.#got = 0
    this.#playedSeconds = 0
    this.#beganMs = beganMs
    this.#firstMs = null
    if (source !== undefined) this.#read(source, ++this.#reading)
  }

  /** Plays for some seconds after the first MiB, and reports. */
  async play(seconds: number): Promise<PartReport> {
    while (this.#firstMs === null && performance.now() - this.#beganMs < patienceMs) await sleep(4)
    const stalledAtMs: number[] = []
    let stallMs = 0
    let stalled = false
    const start = performance.now()
    let last = start
    const end = start + seconds * 1000
    while (this.#firstMs !== null && last < end) {
      await sleep(10)
      const now = performance.now()
      const step = (now - last) / 1000
      last = now
      const enough = this.#got >= (this.#playedSeconds + step) * this.#bytesPerSecond
      if (enough) this.#playedSeconds += step
      else {
        stallMs += step * 1000
        if (!stalled) stalledAtMs.push(Math.round(now - start))
      }
      stalled = !enough
    }
    const firstMebibyteMs = this.#firstMs === null ? null : Math.round(this.#firstMs)
    const stalls = stalledAtMs.length
    return { firstMebibyteMs, stalls, stallMs: Math.round(stallMs), stalledAtMs, readBytes: this.#got }
  }

  /** Stops reading from the source. */
  stop(): void {
    this.#reading++
  }

  async #read(source: Source, reading: number): Promise<void> {
    try {
      while (reading === this.#reading) {
        if (this.#got / this.#bytesPerSecond > this.#playedSeconds + this.#bufferSeconds) {
          await sleep(10)
          continue
        }
        const { done, value } = await source.next()
        if (done === true || reading !== this.#reading) return
        this.#comparer.compare(this.#offset + this.#got, value)
        this.#got += value.length
        if (this.#got >= mebibyte) this.#firstMs ??= performance.now() - this.#beganMs
      }
    } catch (thrown) {
      // A source that is destroyed because the player has left it may report an error.
      if (reading === this.#reading)
        console.error('stream:', thrown instanceof Error ? thrown.message : thrown)
    }
  }
}
