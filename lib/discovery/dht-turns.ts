import type { DHT } from '../dht/dht.ts'
import { systemTimers, type Timers } from '../util/timers.ts'

/** How {@link DhtTurns} go round. */
export interface DhtTurnsOptions {
  /** How many look-ups run at the same time; default 4. */
  readonly parallel?: number
  /** Milliseconds between the beginnings of two look-ups of torrents that are in no hurry; default 250. */
  readonly gapMs?: number
  /** Default the system's. */
  readonly timers?: Timers
}

/** One who looks something up from time to time; while it waits it holds nothing, as a thousand of them may wait. */
export interface DhtMember {
  /** Whether it goes before those that are not. */
  readonly isUrgent: boolean
  /** The DHT knows a node, or the time is over. */
  wake(): void
  /** It is its turn, which lasts until `end` is called; that may be called again. */
  begin(end: () => void): void
  /** There will be no node any more. */
  fail(error: unknown): void
}

/** The members that wait for the first node of one DHT. */
interface Unconnected {
  readonly members: Set<DhtMember>
  readonly stop: AbortController
}

/**
 * Spreads the DHT look-ups of all torrents of a client over time, so that a thousand of them are no flood: few at once, those that
 * are in a hurry first, and the others one after the other with a gap between. Members wait here also between two look-ups.
 */
export class DhtTurns {
  readonly #parallel: number
  readonly #gapMs: number
  readonly #timers: Timers
  readonly #urgent = new Set<DhtMember>()
  readonly #patient = new Set<DhtMember>()
  readonly #unconnected = new Map<Pick<DHT, 'connected'>, Unconnected>()
  /** When each member that sleeps is to be woken. */
  readonly #sleeping = new Map<DhtMember, number>()
  #alarmAt = Number.POSITIVE_INFINITY
  #cancelAlarm: (() => void) | undefined
  #running = 0
  #patientAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  /** Nobody waits. */
  constructor({ parallel = 4, gapMs = 250, timers = systemTimers }: DhtTurnsOptions = {}) {
    this.#parallel = parallel
    this.#gapMs = gapMs
    this.#timers = timers
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#urgent.size + this.#patient.size
  }

  /** Wakes a member as soon as the DHT knows a node. */
  connect(member: DhtMember, dht: Pick<DHT, 'connected'>): void {
    const known = this.#unconnected.get(dht)
    if (known !== undefined) {
      known.members.add(member)
      return
    }
    const entry: Unconnected = { members: new Set([member]), stop: new AbortController() }
    this.#unconnected.set(dht, entry)
    const settle = (tell: (member: DhtMember) => void): void => {
      if (this.#unconnected.get(dht) === entry) this.#unconnected.delete(dht)
      for (const one of entry.members) tell(one)
    }
    dht.connected({ signal: entry.stop.signal }).then(
      () => settle((one) => one.wake()),
      (error) => settle((one) => one.fail(error))
    )
  }

  /** Wakes a member after some time. */
  sleep(member: DhtMember, delayMs: number): void {
    const at = this.#timers.now() + delayMs
    this.#sleeping.set(member, at)
    if (at < this.#alarmAt) this.#setAlarm(at)
  }

  /** Gives a member its turn when that comes. */
  join(member: DhtMember): void {
    ;(member.isUrgent ? this.#urgent : this.#patient).add(member)
    this.#go()
  }

  /** A member wants nothing any more; a turn that it has begun goes on until it ends it. */
  leave(member: DhtMember): void {
    for (const [dht, { members, stop }] of this.#unconnected) {
      if (!members.delete(member) || members.size > 0) continue
      this.#unconnected.delete(dht)
      stop.abort()
    }
    // The alarm of others that are due later is set anew when it rings.
    if (this.#sleeping.delete(member) && this.#sleeping.size === 0) this.#setAlarm(Number.POSITIVE_INFINITY)
    const wasPatient = this.#patient.delete(member)
    if (this.#urgent.delete(member) || wasPatient) this.#go()
  }

  #setAlarm(at: number): void {
    this.#cancelAlarm?.()
    this.#cancelAlarm = undefined
    this.#alarmAt = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#cancelAlarm = this.#timers.after(Math.max(0, at - this.#timers.now()), () => this.#ring())
  }

  #ring(): void {
    const now = this.#timers.now()
    let next = Number.POSITIVE_INFINITY
    const due: DhtMember[] = []
    for (const [member, at] of this.#sleeping) {
      // A timer may ring a little early.
      if (at <= now + 1) due.push(member)
      else next = Math.min(next, at)
    }
    this.#setAlarm(next)
    for (const member of due) if (this.#sleeping.delete(member)) member.wake()
  }

  #go(): void {
    this.#cancel?.()
    this.#cancel = undefined
    while (this.#running < this.#parallel) {
      const now = this.#timers.now()
      const isUrgent = this.#urgent.size > 0
      const [first = undefined] = isUrgent ? this.#urgent : this.#patient
      if (first === undefined) return
      if (!isUrgent) {
        const waitMs = this.#patientAt + this.#gapMs - now
        if (waitMs > 0) {
          this.#cancel = this.#timers.after(waitMs, () => this.#go())
          return
        }
        this.#patientAt = now
      }
      this.#urgent.delete(first)
      this.#patient.delete(first)
      this.#begin(first)
    }
  }

  #begin(member: DhtMember): void {
    this.#running++
    let over = false
    member.begin(() => {
      if (over) return
      over = true
      this.#running--
      this.#go()
    })
  }
}
