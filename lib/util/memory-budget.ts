import { monotonicMs } from './clock.ts'
import { debug } from './debug.ts'

const log = debug('memory')

/**
 * Kind of memory that a holder is asked to release, cheapest first.
 *
 * - `unserved`: pieces that are unwanted, or that no peer has
 * - `idle`: pieces that are not being requested and that no reader needs
 * - `under way`: pieces that are being downloaded; the torrent continues with fewer
 */
export type Surplus = 'unserved' | 'idle' | 'under way'

/** The owner of a {@link MemoryAccount}. */
export interface MemoryHolder {
  /** Releases some memory of this kind, at once or after it is written; returns false if there is none. */
  reclaim(surplus: Surplus): boolean
  /** Called when memory that was refused may be available. */
  onFreed(): void
}

/** A limit in bytes that several holders share. A part of it is reserved for urgent reservations. */
export class MemoryBudget {
  readonly limit: number
  readonly #urgentReserve: number
  #used = 0
  /** Number of accounts that hold memory or wait for some. */
  #wanting = 0
  /** Bytes that will be released as soon as they are written. */
  #leaving = 0
  readonly #accounts = new Set<MemoryAccount>()
  /** Accounts that were refused memory, longest waiting first. */
  readonly #waiting = new Set<MemoryAccount>()
  #waking = false
  readonly #reclaimers = new Set<() => boolean>()

  /** Creates a budget of `limit` bytes; only urgent reservations may use the last `urgentReserve`. */
  constructor(limit: number, urgentReserve: number = limit / 4) {
    this.limit = limit
    this.#urgentReserve = urgentReserve
  }

  /** Bytes currently reserved. */
  get used(): number {
    return this.#used
  }

  /** Opens an account for a holder, who must close it. */
  open(holder: MemoryHolder): MemoryAccount {
    const account = new MemoryAccount(this, holder)
    this.#accounts.add(account)
    return account
  }

  /** Closes an account that has released everything; idempotent. */
  close(account: MemoryAccount): void {
    this.#accounts.delete(account)
    this.#set(account, account.used, 0)
    // The fair share of the others grows.
    if (this.#waiting.delete(account)) this.wake()
  }

  /**
   * Reserves `bytes` for an account; an urgent reservation may use the reserve. Returns false if there is not
   * enough memory, or, unless urgent, if other accounts wait for their fair share and this one would exceed its
   * own. After a refusal, the holder's `onFreed` is called once.
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

  /**
   * Reserves `bytes` for optional use such as a cache, only within the given part of the budget (default the
   * first half).
   */
  reserveSpare(bytes: number, part: number = 1 / 2): boolean {
    if (this.#used + bytes > this.limit * part) return false
    this.#used += bytes
    return true
  }

  /** Releases bytes from `reserveSpare`. */
  releaseSpare(bytes: number): void {
    this.#used -= bytes
    this.wake()
  }

  /**
   * Uncounts spare bytes that are about to be reserved by an account, or (negative) counts them again if that
   * was refused.
   */
  exchangeSpare(bytes: number): void {
    this.#used -= bytes
  }

  release(account: MemoryAccount, bytes: number): void {
    this.#set(account, account.used - bytes, account.wish)
    this.releaseSpare(bytes)
  }

  /**
   * Announces that `bytes` will be released soon, so that nothing else is reclaimed for them; negative once
   * they are released.
   */
  leave(bytes: number): void {
    this.#leaving += bytes
  }

  /**
   * Returns the bytes of an account's fair share: an equal part for all that hold or want memory. For an
   * urgent reservation, the reserve is included.
   */
  fairShare(account: MemoryAccount, urgent = false): number {
    const ceiling = urgent ? this.limit : this.limit - this.#urgentReserve
    return ceiling / (account.wants ? this.#wanting : this.#wanting + 1)
  }

  /**
   * Registers a callback that is asked for memory when there is not enough. It releases some and returns
   * true, or returns false if it has none. Returns a function that unregisters it.
   */
  reclaimer(callback: () => boolean): () => void {
    this.#reclaimers.add(callback)
    return () => this.#reclaimers.delete(callback)
  }

  /** Makes the holder's `onFreed` be called after the next release. */
  wait(account: MemoryAccount): void {
    this.#waiting.add(account)
  }

  /**
   * Lets waiting accounts try again in a later turn of the event loop; called after a release, or when more
   * memory became reclaimable.
   */
  wake(): void {
    if (this.#waking || this.#waiting.size === 0) return
    this.#waking = true
    // Deferred, because the caller is still changing its own state.
    setImmediate(() => {
      this.#waking = false
      for (const account of [...this.#waiting]) {
        // Removes one account at a time, so that a `reserve` inside `onFreed` still sees the accounts that wait behind it.
        if (!this.#waiting.delete(account)) continue
        this.#set(account, account.used, 0)
        account.holder.onFreed()
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

  /** Returns whether an account stays within its fair share, or holds nothing yet. */
  #isEntitled(account: MemoryAccount, bytes: number): boolean {
    return account.used === 0 || account.used + bytes <= this.fairShare(account)
  }

  /** Returns whether another account waits for memory within its fair share. */
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
      // Enough memory is about to be released.
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

  /** Reclaims memory for an account from the first of these accounts that has some. */
  #reclaimFrom(accounts: readonly MemoryAccount[], surplus: Surplus, account: MemoryAccount): boolean {
    const found = accounts.find(({ holder }) => holder.reclaim(surplus))
    // `found` may need its memory back.
    if (found !== undefined && found !== account) this.wait(found)
    return found !== undefined
  }

  #reclaimSpare(): boolean {
    for (const callback of this.#reclaimers) {
      if (!callback()) continue
      // Moves to the end, so that others are asked first next time.
      this.#reclaimers.delete(callback)
      this.#reclaimers.add(callback)
      return true
    }
    return false
  }
}

/** The part of a {@link MemoryBudget} that one torrent holds. Only the budget writes its fields. */
export class MemoryAccount {
  readonly budget: MemoryBudget
  readonly holder: MemoryHolder
  /** Bytes currently reserved. */
  used = 0
  /** Bytes that were refused and are still wanted; 0 after the next wake-up. */
  wish = 0
  /** Time of the first refusal since the last success; set only while logging. */
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

  /** Makes the holder's `onFreed` be called after the next release. */
  wait(): void {
    this.budget.wait(this)
  }

  release(bytes: number): void {
    this.budget.release(this, bytes)
  }

  /** Announces that `bytes` will be released soon; negative once they are released. */
  leave(bytes: number): void {
    this.budget.leave(bytes)
  }

  /** Returns the bytes of its fair share; see {@link MemoryBudget.fairShare}. */
  fairShare(urgent: boolean): number {
    return this.budget.fairShare(this, urgent)
  }

  /** Closes the account; everything must be released. */
  close(): void {
    this.budget.close(this)
  }
}
