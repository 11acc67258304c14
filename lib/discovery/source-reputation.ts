import { LazyMap } from '../util/lazy-collections.ts'

/** A source is ignored when so many of its addresses in a row have failed; one failure is forgiven in each span. */
const mostFailures = 30
const forgivenMs = 60_000
/** Sources that are remembered, the latest. */
const mostSources = 256

interface Reputation {
  /** Its addresses that were not reached yet. */
  held: number
  /** Its addresses in a row that could not be reached, less those forgiven by `failedAt`. */
  failures: number
  failedAt: number
}

/** How often the addresses of each source fail; a source is a host that tells of others. Pure: time is an argument. */
export class SourceReputation {
  readonly #mostHeld: number
  readonly #sources = new LazyMap<string, Reputation>()

  /** Each source may hold at most so many addresses that were not reached yet. */
  constructor(mostHeld: number) {
    this.#mostHeld = mostHeld
  }

  /** Whether one more address is taken from this host. */
  listensTo(host: string, now: number): boolean {
    const source = this.#sources.get(host)
    return (
      source === undefined || (failuresOf(source, now) <= mostFailures - 1 && source.held < this.#mostHeld)
    )
  }

  /** An address was taken from this host. */
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

  /** The source answers for one address less. */
  released(host: string): void {
    const source = this.#sources.get(host)
    if (source !== undefined) source.held = Math.max(0, source.held - 1)
  }

  /** One of its addresses was reached, which clears its failures. */
  reached(host: string): void {
    const source = this.#sources.get(host)
    if (source !== undefined) source.failures = 0
  }

  /** One of its addresses has failed; to be told once of each. */
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
