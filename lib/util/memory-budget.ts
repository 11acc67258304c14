/**
 * Memory that a holder is asked to give up, in the order of its cost: pieces that nobody wants or no peer has; then all that no peer is
 * asked for and no reader needs.
 */
export type Surplus = 'unserved' | 'idle'

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
   * their fair share, which this account has: then its holder's `freed` is called once. While nothing is reserved, anything fits.
   */
  reserve(account: MemoryAccount, bytes: number, urgent: boolean): boolean {
    const ceiling = urgent ? this.limit : this.limit - this.#urgentReserve
    const fits = this.#waiting.size === 0 && this.#used + bytes <= ceiling
    if (!fits && !this.#obtain(account, bytes, ceiling, urgent)) {
      this.#waiting.add(account)
      return false
    }
    this.#used += bytes
    this.#set(account, account.used + bytes, 0)
    return true
  }

  /** Reserves `bytes` for something that can do without, such as a cache: only of the first half of the budget. */
  reserveSpare(bytes: number): boolean {
    if (this.#used + bytes > this.limit / 2) return false
    this.#used += bytes
    return true
  }

  /** Gives `bytes` back that `reserveSpare` reserved. */
  releaseSpare(bytes: number): void {
    this.#used -= bytes
    this.wake()
  }

  /** Gives `bytes` of an account back; `left` says that `leave` announced them. */
  release(account: MemoryAccount, bytes: number, left: boolean): void {
    this.#set(account, account.used - bytes, account.wish)
    if (left) this.#leaving -= bytes
    this.releaseSpare(bytes)
  }

  /** Announces that `bytes` of an account are released soon: until then nothing else is reclaimed in their place. */
  leave(bytes: number): void {
    this.#leaving += bytes
  }

  /**
   * Asks `callback` for memory when there is not enough: it releases some that it can do without and returns true, or has none. The
   * function returned ends that.
   */
  reclaimer(callback: () => boolean): () => void {
    this.#reclaimers.add(callback)
    return () => this.#reclaimers.delete(callback)
  }

  /** Has the holder of an account told of the next release. */
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

  /** Bytes of each account that holds or wants memory. */
  get #share(): number {
    return (this.limit - this.#urgentReserve) / Math.max(1, this.#wanting)
  }

  #set(account: MemoryAccount, used: number, wish: number): void {
    if (account.wants) this.#wanting--
    account.used = used
    account.wish = wish
    if (account.wants) this.#wanting++
  }

  /** Whether an account stays within its fair share, or has nothing yet. */
  #isEntitled(account: MemoryAccount, bytes: number): boolean {
    return account.used === 0 || account.used + bytes <= this.#share
  }

  /** Whether others wait for what is theirs. */
  #owes(account: MemoryAccount): boolean {
    for (const other of this.#waiting)
      if (other !== account && other.wish > 0 && this.#isEntitled(other, other.wish)) return true
    return false
  }

  #obtain(account: MemoryAccount, bytes: number, ceiling: number, urgent: boolean): boolean {
    this.#set(account, account.used, bytes)
    const entitled = this.#isEntitled(account, bytes)
    if (!entitled && !urgent && this.#owes(account)) return false
    while (this.#used > 0 && this.#used + bytes > ceiling) {
      if (this.#reclaimSpare()) continue
      // It comes with a release.
      if (this.#used - this.#leaving + bytes <= ceiling) return false
      const found =
        this.#reclaimFrom(this.#accounts, 'unserved', account) ||
        (urgent && this.#reclaimFrom(this.#accounts, 'idle', account)) ||
        (entitled && this.#reclaimFrom(this.#above(account), 'idle', account))
      if (!found) return false
    }
    return true
  }

  /** Reclaims memory for an account, of those first that hold most. */
  #reclaimFrom(accounts: Iterable<MemoryAccount>, surplus: Surplus, account: MemoryAccount): boolean {
    const holding = [...accounts].filter(({ used }) => used > 0).sort((a, b) => b.used - a.used)
    const found = holding.find(({ holder }) => holder.reclaim(surplus))
    // It wants back what was taken from it.
    if (found !== undefined && found !== account) this.wait(found)
    return found !== undefined
  }

  /** Other accounts that hold more than their fair share. */
  *#above(account: MemoryAccount): Iterable<MemoryAccount> {
    const share = this.#share
    for (const other of this.#accounts) if (other !== account && other.used > share) yield other
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

  /** Has the holder told of the next release. */
  wait(): void {
    this.budget.wait(this)
  }

  /** Gives `bytes` back; `left` says that `leave` announced them. */
  release(bytes: number, left = false): void {
    this.budget.release(this, bytes, left)
  }

  /** Announces that `bytes` are released as soon as they are written. */
  leave(bytes: number): void {
    this.budget.leave(bytes)
  }

  /** Ends the account, once all is released. */
  close(): void {
    this.budget.close(this)
  }
}
