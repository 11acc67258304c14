import { setImmediate } from 'node:timers/promises'
import type { DatagramClaim, DatagramPort } from '../../lib/net/datagram-port.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import type { Timers } from '../../lib/util/timers.ts'

/** Returns a seeded generator of random bytes. */
export function seededRandom(seed: number): (length: number) => Uint8Array {
  let state = seed >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  return (length) => Uint8Array.from({ length }, () => next() >>> 11)
}

interface Event {
  readonly callback: () => void
  cancelled: boolean
}

/** A network of in-memory ports in virtual time. A datagram takes 10 to 89 ms. */
export class SimNetwork implements Timers {
  readonly #ports = new Map<string, SimPort>()
  /** Events by whole milliseconds. */
  readonly #events = new Map<number, Event[]>()
  #now = 0
  /** Makes the port of an address that is not open, if a node has it. */
  onUnknown: ((to: PeerAddress) => SimPort | undefined) | undefined
  /** Datagrams sent so far. */
  sent = 0

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const event = { callback, cancelled: false }
    const at = this.#now + Math.max(1, Math.ceil(delayMs))
    const list = this.#events.get(at)
    if (list === undefined) this.#events.set(at, [event])
    else list.push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** Opens a port at an address. Closing it makes the address dead. */
  open(address: PeerAddress): SimPort {
    const port = new SimPort(this, address)
    this.#ports.set(address.host, port)
    return port
  }

  /** Carries a datagram. */
  carry(message: Uint8Array, from: PeerAddress, to: PeerAddress): void {
    this.sent++
    const target = this.#ports.get(to.host) ?? this.onUnknown?.(to)
    if (target === undefined) return
    this.after(10 + ((from.port + to.port * 7) % 80), () => target.deliver(message, from))
  }

  /** Removes an address from the network. */
  remove({ host }: PeerAddress): void {
    this.#ports.delete(host)
  }

  /** Lets time pass until the promise settles. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const done = (): void => {
      settled = true
    }
    promise.then(done, done)
    for (;;) {
      // Pending promises continue before time does.
      await setImmediate()
      if (settled) return promise
      this.#now++
      while (!this.#events.has(this.#now)) {
        if (this.#events.size === 0) throw new Error('Nothing will ever happen')
        this.#now++
      }
      const due = this.#events.get(this.#now) ?? []
      this.#events.delete(this.#now)
      for (const { callback, cancelled } of due) if (!cancelled) callback()
    }
  }
}

/** A port of a {@link SimNetwork}. */
export class SimPort implements DatagramPort {
  readonly family = 4
  readonly port: number
  readonly #network: SimNetwork
  readonly #address: PeerAddress
  #claim: DatagramClaim | undefined

  constructor(network: SimNetwork, address: PeerAddress) {
    this.#network = network
    this.#address = address
    this.port = address.port
  }

  send(message: Uint8Array, to: PeerAddress): void {
    this.#network.carry(message, this.#address, to)
  }

  claim(claim: DatagramClaim): () => void {
    this.#claim = claim
    return () => {
      this.#claim = undefined
    }
  }

  deliver(message: Uint8Array, from: PeerAddress): void {
    if (this.#claim?.matches(message, from)) this.#claim.receive(message, from)
  }

  async close(): Promise<void> {
    this.#network.remove(this.#address)
  }
}
