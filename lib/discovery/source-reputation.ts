import { LazyMap } from '../util/lazy-collections.ts'

/** Consecutive failed addresses after which a source is ignored, and the span after which one failure is forgiven. */
const mostFailures = 30
const forgivenMs = 60_000
/** Number of sources tracked, the latest ones. */
const mostSources = 256

interface Reputation {
  /** Addresses of this source that were not reached yet. */
  held: number
  /** Consecutive unreachable addresses, minus those forgiven up to `failedAt`. */
  failures: number
  failedAt: number
}

/** Failure rate of the addresses that each source names; a source is a host. Pure: time is an argument. */
export class SourceReputation {
  readonly #mostHeld: number
  readonly #sources = new LazyMap<string, Reputation>()

  /** Creates an empty record; `mostHeld` limits the unreached addresses of each source. */
  constructor(mostHeld: number) {
    this.#mostHeld = mostHeld
  }

  /** Returns whether to accept another address from this source. */
  listensTo(host: string, now: number): boolean {
    const source = this.#sources.get(host)
    return (
      source === undefined || (failuresOf(source, now) <= mostFailures - 1 && source.held < this.#mostHeld)
    )
  }

  /** Records that an address was accepted from this source. */
  told(host: string): void {
    const source = this.#sources.get(host) ?? { held: 0, failures: 0, failedAt: 0 }
    source.held++
    this.#sources.delete(host)
    this.#sources.set(host, source)
    if (this.#sources.size <= mostSources) return
    for (const oldest of this.#sources.keys()) {
      this.#sources.delete(oldest)
      return
    }
  }

  /** Stops counting an address of this source: it was reached, given up or deleted. */
  released(host: string): void {
    const source = this.#sources.get(host)
    if (source !== undefined) source.held = Math.max(0, source.held - 1)
  }

  /** Records that an address of this source was reached, which clears its failures. */
  reached(host: string): void {
    const source = this.#sources.get(host)
    if (source !== undefined) source.failures = 0
  }

  /** Records that an address of this source failed; to be called once per address. */
  failed(host: string, now: number): void {
    const source = this.#sources.get(host)
    if (source === undefined) return
    source.failures = Math.min(mostFailures, failuresOf(source, now) + 1)
    source.failedAt = now
  }
}

function failuresOf({ failures, failedAt }: Reputation, now: number): number {
  return Math.max(0, failures - (now - failedAt) / forgivenMs)
}
