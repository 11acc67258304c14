import type { DHT } from '../dht/dht.ts'
import { systemTimers, type Timers } from '../util/timers.ts'

/** Options of {@link LookupScheduler}. */
export interface LookupSchedulerOptions {
  /** Maximum number of concurrent look-ups; default 4. */
  readonly parallel?: number
  /** Milliseconds between the starts of two look-ups that are not urgent; default 250. */
  readonly gapMs?: number
  /** Clock and timers; default the system's. */
  readonly timers?: Timers
}

/** A recurring look-up. It holds no resources while it waits, because there may be thousands. */
export interface DhtMember {
  /** Whether its look-up is scheduled before those that are not urgent. */
  readonly isUrgent: boolean
  /** Called when the DHT has its first node, or when the sleep is over. */
  wake(): void
  /** Starts a look-up; `end` must be called when it is done, and may be called repeatedly. */
  begin(end: () => void): void
  /** Called when the DHT will never have a node. */
  fail(error: unknown): void
}

/** Members that wait for the first node of one DHT. */
interface Unconnected {
  readonly members: Set<DhtMember>
  readonly stop: AbortController
}

/**
 * Schedules the DHT look-ups of all torrents of a client, so that thousands of torrents do not flood the
 * network: few at once, urgent ones first, and a gap between the others. Also holds members that sleep
 * between two look-ups.
 */
export class LookupScheduler {
  readonly #parallel: number
  readonly #gapMs: number
  readonly #timers: Timers
  readonly #urgent = new Set<DhtMember>()
  readonly #patient = new Set<DhtMember>()
  readonly #unconnected = new Map<Pick<DHT, 'connected'>, Unconnected>()
  /** Time at which to wake each sleeping member. */
  readonly #sleeping = new Map<DhtMember, number>()
  #alarmAt = Number.POSITIVE_INFINITY
  #cancelAlarm: (() => void) | undefined
  #running = 0
  #patientAt = Number.NEGATIVE_INFINITY
  #cancel: (() => void) | undefined

  constructor({ parallel = 4, gapMs = 250, timers = systemTimers }: LookupSchedulerOptions = {}) {
    this.#parallel = parallel
    this.#gapMs = gapMs
    this.#timers = timers
  }

  /** Number of members that are due for a look-up. */
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

  /** Wakes a member after `delayMs` milliseconds. */
  sleep(member: DhtMember, delayMs: number): void {
    const at = this.#timers.now() + delayMs
    this.#sleeping.set(member, at)
    if (at < this.#alarmAt) this.#setAlarm(at)
  }

  /** Wakes all members that sleep. */
  wakeAll(): void {
    for (const member of this.#sleeping.keys()) this.#sleeping.set(member, this.#timers.now())
    if (this.#sleeping.size > 0) this.#setAlarm(this.#timers.now())
  }

  /** Queues a member for a look-up, and calls its `begin` when there is capacity. */
  join(member: DhtMember): void {
    ;(member.isUrgent ? this.#urgent : this.#patient).add(member)
    this.#schedule()
  }

  /** Removes a member from every queue. A look-up that has begun counts until it calls `end`. */
  leave(member: DhtMember): void {
    for (const [dht, { members, stop }] of this.#unconnected) {
      if (!members.delete(member) || members.size > 0) continue
      this.#unconnected.delete(dht)
      stop.abort()
    }
    // If other members sleep, the alarm stays: it is set anew when it fires.
    if (this.#sleeping.delete(member) && this.#sleeping.size === 0) this.#setAlarm(Number.POSITIVE_INFINITY)
    const wasPatient = this.#patient.delete(member)
    if (this.#urgent.delete(member) || wasPatient) this.#schedule()
  }

  #setAlarm(at: number): void {
    this.#cancelAlarm?.()
    this.#cancelAlarm = undefined
    this.#alarmAt = at
    if (at === Number.POSITIVE_INFINITY) return
    this.#cancelAlarm = this.#timers.after(Math.max(0, at - this.#timers.now()), () => this.#onAlarm())
  }

  #onAlarm(): void {
    const now = this.#timers.now()
    let next = Number.POSITIVE_INFINITY
    const due: DhtMember[] = []
    for (const [member, at] of this.#sleeping) {
      // Timers may fire slightly early.
      if (at <= now + 1) due.push(member)
      else next = Math.min(next, at)
    }
    this.#setAlarm(next)
    for (const member of due) if (this.#sleeping.delete(member)) member.wake()
  }

  #schedule(): void {
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
          this.#cancel = this.#timers.after(waitMs, () => this.#schedule())
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
      this.#schedule()
    })
  }
}
