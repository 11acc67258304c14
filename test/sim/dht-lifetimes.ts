import type { Population } from './dht-population.ts'

/** Milliseconds after which an unseen entry of a table is queried again (BEP 5). */
const unseenMs = 15 * 60_000
const hourMs = 3_600_000

/** Options of {@link Lifetimes}. */
export interface LifetimesOptions {
  /** All nodes that ever live, see {@link livesNeeded}. */
  readonly population: Population
  /** Number of nodes alive at any time. */
  readonly alive: number
  /**
   * Share of them that leaves within an hour, each replaced by a new node with an id and an address of its
   * own; may exceed 1.
   */
  readonly exchanged: number
  /** End in virtual milliseconds; the start is at 0, with 15 minutes before. */
  readonly untilMs: number
  /** Returns a random number in [0, 1). */
  readonly chance: () => number
}

/** Returns how many nodes live at some time while `alive` live at any time. */
export function livesNeeded(alive: number, exchanged: number, untilMs: number): number {
  return alive + Math.ceil((alive * exchanged * (untilMs + unseenMs)) / hourMs)
}

/**
 * The times when each node of a population joins and leaves: a random node leaves at a steady rate, and
 * another joins.
 */
export class Lifetimes {
  readonly #bornMs: Float64Array
  readonly #diesMs: Float64Array
  readonly #chance: () => number

  constructor({ population, alive, untilMs, exchanged, chance }: LifetimesOptions) {
    this.#chance = chance
    const { count } = population
    this.#bornMs = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
    this.#diesMs = new Float64Array(count).fill(Number.POSITIVE_INFINITY)
    // Numbers are independent of ids, so they may come in order.
    const living = Uint32Array.from({ length: alive }, (_, n) => population.numbered(n))
    const stepMs = exchanged === 0 ? Number.POSITIVE_INFINITY : hourMs / (alive * exchanged)
    let now = -unseenMs
    for (let n = alive; n < count && now < untilMs; n++) {
      now += stepMs
      const place = Math.floor(chance() * alive)
      this.#diesMs[living[place] ?? 0] = now
      const newcomer = population.numbered(n)
      this.#bornMs[newcomer] = now
      living[place] = newcomer
    }
  }

  /** Returns whether a node is present from one time to another. */
  lives(node: number, from: number, to: number = from): boolean {
    return (this.#bornMs[node] ?? 0) <= from && (this.#diesMs[node] ?? 0) > to
  }

  /** Returns when a node leaves silently; may be `Infinity`. */
  diesAt(node: number): number {
    return this.#diesMs[node] ?? Number.POSITIVE_INFINITY
  }

  /**
   * Returns whether the table of one node holds another: it was seen at some time in the last 15 minutes, and
   * may be gone by now.
   */
  mayKnow(node: number, other: number, now: number): boolean {
    const seen = now - this.#chance() * unseenMs
    return this.lives(other, Math.max(seen, this.#bornMs[node] ?? seen))
  }
}
