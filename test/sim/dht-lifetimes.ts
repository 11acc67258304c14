import type { Population } from './dht-population.ts'

/** How long an entry of a table may go unseen before it is asked again (BEP 5), in milliseconds. */
const unseenMs = 15 * 60_000
const hourMs = 3_600_000

/** What {@link Lifetimes} are made of. */
export interface LifetimesOptions {
  /** Holds those that ever live, see {@link livesNeeded}. */
  readonly population: Population
  /** How many live at any time. */
  readonly alive: number
  /** Share of them that leaves within an hour, each replaced by a newcomer with an id and an address of its own; may exceed 1. */
  readonly exchanged: number
  /** Until when, in virtual milliseconds; from 0 on, with 15 minutes before. */
  readonly untilMs: number
  /** Returns [0, 1). */
  readonly chance: () => number
}

/** How many nodes live at some time while so many live at any time. */
export function livesNeeded(alive: number, exchanged: number, untilMs: number): number {
  return alive + Math.ceil((alive * exchanged * (untilMs + unseenMs)) / hourMs)
}

/** When each node of a population joins and leaves: all the time one leaves, whichever it is, and another joins. */
export class Lifetimes {
  readonly #bornMs: Float64Array
  readonly #diesMs: Float64Array
  readonly #chance: () => number

  constructor({ population, alive, untilMs, exchanged, chance }: LifetimesOptions) {
    this.#chance = chance
    const { count } = population
    this.#bornMs = new Float64Array(count).fill(Number.NEGATIVE_INFINITY)
    this.#diesMs = new Float64Array(count).fill(Number.POSITIVE_INFINITY)
    // Numbers say nothing of ids, so they may come in their order.
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

  /** Whether a node is there from one time to another. */
  lives(node: number, from: number, to: number = from): boolean {
    return (this.#bornMs[node] ?? 0) <= from && (this.#diesMs[node] ?? 0) > to
  }

  /** When a node leaves without a word; may be `Infinity`. */
  diesAt(node: number): number {
    return this.#diesMs[node] ?? Number.POSITIVE_INFINITY
  }

  /** Whether the table of one node holds another: as that was seen at some time in the last 15 minutes, it may be gone by now. */
  mayKnow(node: number, other: number, now: number): boolean {
    const seen = now - this.#chance() * unseenMs
    return this.lives(other, Math.max(seen, this.#bornMs[node] ?? seen))
  }
}
