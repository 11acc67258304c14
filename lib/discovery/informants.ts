import { LazyMap } from '../util/lazy-collections.ts'

/** An informant is not listened to when at so many of its addresses in a row nobody answered; one is forgiven in each span. */
const mostLies = 30
const forgivenMs = 60_000
/** Informants that are remembered, the latest. */
const mostInformants = 256

interface Informant {
  /** Its addresses that have not proved true yet. */
  held: number
  /** Of its addresses in a row that could not be reached, less what was forgiven by `liedAt`. */
  lies: number
  liedAt: number
}

/** Hosts that tell of others, each of which answers for what it tells. Pure: time is an argument. */
export class Informants {
  readonly #mostHeld: number
  readonly #informants = new LazyMap<string, Informant>()

  /** Each may have told at most so many addresses that have not proved true yet. */
  constructor(mostHeld: number) {
    this.#mostHeld = mostHeld
  }

  /** Whether one more address is taken from this host. */
  listensTo(host: string, now: number): boolean {
    const informant = this.#informants.get(host)
    return (
      informant === undefined || (liesOf(informant, now) <= mostLies - 1 && informant.held < this.#mostHeld)
    )
  }

  /** An address was taken from this host. */
  told(host: string): void {
    const informant = this.#informants.get(host) ?? { held: 0, lies: 0, liedAt: 0 }
    informant.held++
    this.#informants.delete(host)
    this.#informants.set(host, informant)
    if (this.#informants.size <= mostInformants) return
    for (const oldest of this.#informants.keys()) {
      this.#informants.delete(oldest)
      return
    }
  }

  /** One of its addresses is not its own any more. */
  released(host: string): void {
    const informant = this.#informants.get(host)
    if (informant !== undefined) informant.held = Math.max(0, informant.held - 1)
  }

  /** One of its addresses has turned out to be true, and the informant with it. */
  proved(host: string): void {
    const informant = this.#informants.get(host)
    if (informant !== undefined) informant.lies = 0
  }

  /** Nobody answered at one of its addresses; to be told once of each. */
  lied(host: string, now: number): void {
    const informant = this.#informants.get(host)
    if (informant === undefined) return
    informant.lies = Math.min(mostLies, liesOf(informant, now) + 1)
    informant.liedAt = now
  }
}

function liesOf({ lies, liedAt }: Informant, now: number): number {
  return Math.max(0, lies - (now - liedAt) / forgivenMs)
}
