import { monotonicMs } from './clock.ts'
import { debug } from './debug.ts'

const log = debug('memory')

/**
 * Memory that a holder is asked to give up, in the order of its cost: pieces that are unwanted or that no peer has; then all that no peer is
 * asked for and no reader needs; then those that are under way, which go on with less.
 */
export type Surplus = 'unserved' | 'idle' | 'under way'

/** The owner of a {@link MemoryAccount}, as the budget sees it. */
export interface MemoryHolder {
  /** Gives up some memory of this kind, at once or as soon as it is written; false when there is none. */
  reclaim(surplus: Surplus): boolean
  /** Memory that was refused may be there now. */
  freed(): void
}

/** A ceiling in bytes that several holders share; a part of it is kept for those that must not wait. */
export class MemoryBudget {
  readonly limit: number
  readonly #urgentReserve: number
  #used = 0
  /** Accounts that hold memory or wait for some. */
  #wanting = 0
  /** Bytes that come back as soon as they are written. */
  #leaving = 0
  readonly #accounts = new Set<MemoryAccount>()
  /** Accounts that were refused memory, longest first. */
  readonly #waiting = new Set<MemoryAccount>()
  #waking = false
  readonly #reclaimers = new Set<() => boolean>()

  /** A budget of `limit` bytes, the last `urgentReserve` of which only urgent reservations may use. */
  constructor(limit: number, urgentReserve: number = limit / 4) {
    this.limit = limit
    this.#urgentReserve = urgentReserve
  }

  /** Bytes reserved now. */
  get used(): number {
    return this.#used
  }

  /** Opens an account for a holder, which must close it. */
  open(holder: MemoryHolder): MemoryAccount {
    const account = new MemoryAccount(this, holder)
    this.#accounts.add(account)
    return account
  }

  /** Forgets an account, which has released everything; idempotent. */
  close(account: MemoryAccount): void {
    this.#accounts.delete(account)
    this.#set(account, account.used, 0)
    // The share of the others is larger now.
    if (this.#waiting.delete(account)) this.wake()
  }

  /**
   * Reserves `bytes` for an account; an urgent reservation may use the reserve. False when there is not enough, or when others wait for
   * their fair share, which this account has: then its holder's `freed` is called once.
   */
  reserve(account: MemoryAccount, bytes: number, urgent: boolean): boolean {
    const ceiling = urgent ? this.limit : this.limit - this.#urgentReserve
    const fits = this.#waiting.size === 0 && this.#used + bytes <= ceiling
    if (!fits && !this.#obtain(account, bytes, ceiling, urgent)) {
      this.#waiting.add(account)
      if (log.enabled) this.#logWait(account, bytes)
      return false
    }
    if (account.waitsSince !== undefined) this.#logEnd(account, bytes)
    this.#used += bytes
    this.#set(account, account.used + bytes, 0)
    return true
  }

  /** Reserves `bytes` for something that can do without, such as a cache: only of the first half of the budget, or another part. */
  reserveSpare(bytes: number, part: number = 1 / 2): boolean {
    if (this.#used + bytes > this.limit * part) return false
    this.#used += bytes
    return true
  }

  /** Gives `bytes` back that `reserveSpare` reserved. */
  releaseSpare(bytes: number): void {
    this.#used -= bytes
    this.wake()
  }

  /** Takes spare bytes out in order to reserve them otherwise at once, or (negative) puts them back when that was refused. */
  exchangeSpare(bytes: number): void {
    this.#used -= bytes
  }

  /** Gives `bytes` of an account back. */
  release(account: MemoryAccount, bytes: number): void {
    this.#set(account, account.used - bytes, account.wish)
    this.releaseSpare(bytes)
  }

  /** Announces that `bytes` will be released soon, until when nothing else is reclaimed in their place; or (negative) that they were. */
  leave(bytes: number): void {
    this.#leaving += bytes
  }

  /** Bytes that an account may have while all that want some have as much; an urgent reservation is measured by the whole budget. */
  fairShare(account: MemoryAccount, urgent = false): number {
    const ceiling = urgent ? this.limit : this.limit - this.#urgentReserve
    return ceiling / (account.wants ? this.#wanting : this.#wanting + 1)
  }

  /**
   * Asks `callback` for memory when there is not enough: it releases some that it can do without and returns true, or has none. The
   * function returned ends that.
   */
  reclaimer(callback: () => boolean): () => void {
    this.#reclaimers.add(callback)
    return () => this.#reclaimers.delete(callback)
  }

  /** Tells the holder of an account of the next release. */
  wait(account: MemoryAccount): void {
    this.#waiting.add(account)
  }

  /** Memory was released, or may be reclaimed that could not be before: those that wait try again, in a later turn. */
  wake(): void {
    if (this.#waking || this.#waiting.size === 0) return
    this.#waking = true
    // Not now: the caller is in the middle of a change of its own.
    setImmediate(() => {
      this.#waking = false
      for (const account of [...this.#waiting]) {
        // One after the other, so that the wishes of those that come later still count.
        if (!this.#waiting.delete(account)) continue
        this.#set(account, account.used, 0)
        account.holder.freed()
      }
    })
  }

  #set(account: MemoryAccount, used: number, wish: number): void {
    if (account.wants) this.#wanting--
    account.used = used
    account.wish = wish
    if (account.wants) this.#wanting++
  }

  #logWait(account: MemoryAccount, bytes: number): void {
    if (account.waitsSince !== undefined) return
    account.waitsSince = monotonicMs()
    log(
      'a torrent with %d bytes waits for %d more: %d of %d are used',
      account.used,
      bytes,
      this.#used,
      this.limit
    )
  }

  #logEnd(account: MemoryAccount, bytes: number): void {
    const waitedMs = Math.round(monotonicMs() - (account.waitsSince ?? 0))
    account.waitsSince = undefined
    log('a torrent with %d bytes got %d more after %d ms', account.used, bytes, waitedMs)
  }

  /** Whether an account stays within its fair share, or has nothing yet. */
  #isEntitled(account: MemoryAccount, bytes: number): boolean {
    return account.used === 0 || account.used + bytes <= this.fairShare(account)
  }

  /** Whether others wait for what is theirs. */
  #owes(account: MemoryAccount): boolean {
    for (const other of this.#waiting)
      if (other !== account && other.wish > 0 && this.#isEntitled(other, other.wish)) return true
    return false
  }

  #obtain(account: MemoryAccount, bytes: number, ceiling: number, urgent: boolean): boolean {
    if (bytes > ceiling) return false
    this.#set(account, account.used, bytes)
    const entitled = this.#isEntitled(account, bytes)
    if (!entitled && !urgent && this.#owes(account)) return false
    while (this.#used + bytes > ceiling) {
      if (this.#reclaimSpare()) continue
      // It comes with a release.
      if (this.#used - this.#leaving + bytes <= ceiling) return false
      if (!this.#reclaim(account, urgent, entitled)) return false
    }
    return true
  }

  #reclaim(account: MemoryAccount, urgent: boolean, entitled: boolean): boolean {
    const accounts = [...this.#accounts].filter(({ used }) => used > 0).sort((a, b) => b.used - a.used)
    const above = accounts.filter((other) => other !== account && other.used > this.fairShare(other))
    return (
      this.#reclaimFrom(accounts, 'unserved', account) ||
      (urgent && this.#reclaimFrom(accounts, 'idle', account)) ||
      (entitled && this.#reclaimFrom(above, 'idle', account)) ||
      (entitled && this.#reclaimFrom(above, 'under way', account))
    )
  }

  /** Reclaims memory for an account from the first of others that has such. */
  #reclaimFrom(accounts: readonly MemoryAccount[], surplus: Surplus, account: MemoryAccount): boolean {
    const found = accounts.find(({ holder }) => holder.reclaim(surplus))
    // It wants back what was taken from it.
    if (found !== undefined && found !== account) this.wait(found)
    return found !== undefined
  }

  #reclaimSpare(): boolean {
    for (const callback of this.#reclaimers) {
      if (!callback()) continue
      // Next time the others give first.
      this.#reclaimers.delete(callback)
      this.#reclaimers.add(callback)
      return true
    }
    return false
  }
}

/** The part of a {@link MemoryBudget} that one torrent holds. The budget alone writes to its fields. */
export class MemoryAccount {
  readonly budget: MemoryBudget
  readonly holder: MemoryHolder
  /** Bytes reserved now. */
  used = 0
  /** Bytes that were refused, until there may be some. */
  wish = 0
  /** When it was refused memory first of what it waits for; known only while that is logged. */
  waitsSince: number | undefined
  /** Whether it holds memory or waits for some. */
  get wants(): boolean {
    return this.used > 0 || this.wish > 0
  }

  constructor(budget: MemoryBudget, holder: MemoryHolder) {
    this.budget = budget
    this.holder = holder
  }

  /** Reserves `bytes`; see {@link MemoryBudget.reserve}. */
  reserve(bytes: number, urgent = false): boolean {
    return this.budget.reserve(this, bytes, urgent)
  }

  /** Tells the holder of the next release. */
  wait(): void {
    this.budget.wait(this)
  }

  /** Gives `bytes` back. */
  release(bytes: number): void {
    this.budget.release(this, bytes)
  }

  /** Announces that `bytes` will be released soon, or (negative) that they were. */
  leave(bytes: number): void {
    this.budget.leave(bytes)
  }

  /** Bytes that it may have while all that want some have as much. */
  fairShare(urgent: boolean): number {
    return this.budget.fairShare(this, urgent)
  }

  /** Ends the account, once all is released. */
  close(): void {
    this.budget.close(this)
  }
}
