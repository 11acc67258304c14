import type { PeerAddress } from '../util/address.ts'
import { toLatin1 } from '../util/bytes.ts'
import type { Timers } from '../util/timers.ts'
import type { KrpcReply } from './krpc.ts'
import { limits } from './limits.ts'
import type { RandomBytes } from './node-id.ts'
import { addressKey } from './node-info.ts'

interface Transaction {
  /** Key of the node's address; undefined if any sender may answer. */
  readonly to: string | undefined
  readonly askedMs: number
  readonly settle: (reply: KrpcReply | undefined, from?: PeerAddress) => void
  cancel: () => void
}

/** Initial value and bounds of the usual response time, in milliseconds. */
const usual = { first: 1000, least: 200, most: 2000 }
/** The timeout is `times` the usual response time, within these bounds in milliseconds. */
const waited = { times: 3, least: 1500, most: 6000 }

/**
 * Matches replies to queries by a random transaction id and the address of the node. A query is sent once, because in a lookup the
 * better retry is another node. The timeout adapts to the measured round trips.
 */
export class Transactions {
  readonly #timers: Timers
  readonly #random: RandomBytes
  readonly #open = new Map<string, Transaction>()
  #meanMs = 0
  #deviationMs = 0
  #closed = false

  constructor(timers: Timers, random: RandomBytes) {
    this.#timers = timers
    this.#random = random
  }

  /** Number of outstanding queries. */
  get size(): number {
    return this.#open.size
  }

  /** Whether the limit of outstanding queries is reached, so that `ask` would resolve to undefined at once. */
  get isFull(): boolean {
    return this.#open.size >= limits.openTransactions
  }

  /** Milliseconds after which a reply is slow: the mean round trip plus four deviations. */
  get usualMs(): number {
    if (this.#meanMs === 0) return usual.first
    return Math.min(Math.max(this.#meanMs + 4 * this.#deviationMs, usual.least), usual.most)
  }

  /** Milliseconds after which a query is given up. */
  get timeoutMs(): number {
    return Math.min(Math.max(this.usualMs * waited.times, waited.least), waited.most)
  }

  /**
   * Opens a transaction and calls `send` with its id. Resolves to the reply, or to undefined on timeout, on `close`, or if too many queries
   * are outstanding; never rejects. Calls `onSlow` once if the reply takes longer than usual.
   */
  ask(
    to: PeerAddress,
    send: (transaction: Uint8Array) => void,
    onSlow?: () => void
  ): Promise<KrpcReply | undefined> {
    return this.#ask(addressKey(to), send, (reply) => reply, onSlow)
  }

  /**
   * Opens a transaction that any address may answer, for a node that is named by its host: the SOCKS proxy resolves the name, so
   * the address is unknown. Resolves to the address that answered, or to undefined as `ask` does.
   */
  locate(send: (transaction: Uint8Array) => void): Promise<PeerAddress | undefined> {
    return this.#ask(undefined, send, (_, from) => from)
  }

  #ask<T>(
    to: string | undefined,
    send: (transaction: Uint8Array) => void,
    outcome: (reply: KrpcReply | undefined, from: PeerAddress | undefined) => T | undefined,
    onSlow?: () => void
  ): Promise<T | undefined> {
    if (this.#closed || this.isFull) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      let id: Uint8Array
      let key: string
      do {
        id = this.#random(4)
        key = toLatin1(id)
      } while (this.#open.has(key))
      const { usualMs, timeoutMs } = this
      const transaction: Transaction = {
        to,
        askedMs: this.#timers.now(),
        settle: (reply, from) => {
          transaction.cancel()
          this.#open.delete(key)
          resolve(outcome(reply, from))
        },
        cancel: this.#timers.after(usualMs, () => {
          transaction.cancel = this.#timers.after(timeoutMs - usualMs, () => transaction.settle(undefined))
          onSlow?.()
        })
      }
      this.#open.set(key, transaction)
      send(id)
    })
  }

  /** Handles a reply. Returns false if it matches no outstanding query to `from`. */
  receive(reply: KrpcReply, from: PeerAddress): boolean {
    const transaction = this.#open.get(toLatin1(reply.transaction))
    // A guessed transaction id from another address must not settle the query.
    if (transaction === undefined || (transaction.to ?? addressKey(from)) !== addressKey(from)) return false
    this.#measure(this.#timers.now() - transaction.askedMs)
    transaction.settle(reply, from)
    return true
  }

  /** Resolves all outstanding queries to undefined; idempotent. */
  close(): void {
    this.#closed = true
    for (const transaction of [...this.#open.values()]) transaction.settle(undefined)
  }

  #measure(ms: number): void {
    if (this.#meanMs === 0) {
      this.#meanMs = Math.max(ms, 1)
      this.#deviationMs = ms / 2
      return
    }
    this.#deviationMs += (Math.abs(ms - this.#meanMs) - this.#deviationMs) / 4
    this.#meanMs = Math.max(1, this.#meanMs + (ms - this.#meanMs) / 8)
  }
}
