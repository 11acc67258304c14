import type { PeerAddress } from '../util/address.ts'
import { toLatin1 } from '../util/bytes.ts'
import type { Timers } from '../util/timers.ts'
import type { KrpcReply } from './krpc.ts'
import { limits } from './limits.ts'
import type { RandomBytes } from './node-id.ts'
import { addressKey } from './node-info.ts'

interface Transaction {
  readonly to: string
  readonly askedMs: number
  readonly settle: (reply: KrpcReply | undefined) => void
  cancel: () => void
}

/** Bounds on the time in which an answer is usual, and on how long it is waited for; milliseconds. */
const usual = { first: 1000, least: 200, most: 2000 }
const waited = { times: 3, least: 1500, most: 6000 }

/**
 * Matches answers with questions by a random transaction id and the address asked. A question is sent once: in a look-up
 * another node is the better retry. How long an answer is waited for follows the round trips seen so far.
 */
export class Transactions {
  readonly #timers: Timers
  readonly #random: RandomBytes
  readonly #open = new Map<string, Transaction>()
  #meanMs = 0
  #deviationMs = 0
  #closed = false

  /** None open. */
  constructor(timers: Timers, random: RandomBytes) {
    this.#timers = timers
    this.#random = random
  }

  /** How many questions wait for an answer. */
  get size(): number {
    return this.#open.size
  }

  /** Whether no more questions may be asked at present, and `ask` would give up at once. */
  get isFull(): boolean {
    return this.#open.size >= limits.openTransactions
  }

  /** Milliseconds after which an answer is later than usual: the mean round trip and four deviations. */
  get usualMs(): number {
    if (this.#meanMs === 0) return usual.first
    return Math.min(Math.max(this.#meanMs + 4 * this.#deviationMs, usual.least), usual.most)
  }

  /** Milliseconds after which an answer is not waited for any more. */
  get timeoutMs(): number {
    return Math.min(Math.max(this.usualMs * waited.times, waited.least), waited.most)
  }

  /**
   * Opens a transaction, lets `send` send it, and resolves to the answer, or to undefined when none came, too many
   * are open, or all was closed; never rejects. `onSlow` is called once when the answer is late against the usual.
   */
  ask(
    to: PeerAddress,
    send: (transaction: Uint8Array) => void,
    onSlow?: () => void
  ): Promise<KrpcReply | undefined> {
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
        to: addressKey(to),
        askedMs: this.#timers.now(),
        settle: (reply) => {
          transaction.cancel()
          this.#open.delete(key)
          resolve(reply)
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

  /** Takes an answer from `from`; false when nobody there was asked so. */
  receive(reply: KrpcReply, from: PeerAddress): boolean {
    const transaction = this.#open.get(toLatin1(reply.transaction))
    // Whoever guesses a transaction id from elsewhere was not asked.
    if (transaction === undefined || transaction.to !== addressKey(from)) return false
    this.#measure(this.#timers.now() - transaction.askedMs)
    transaction.settle(reply)
    return true
  }

  /** Ends what waits; idempotent. */
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
