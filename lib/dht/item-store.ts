import { equalBytes, toHex } from '../util/bytes.ts'
import type { Timers } from '../util/timers.ts'
import { type Item, itemTarget, verifyItem } from './item.ts'
import { limits } from './limits.ts'

/** Error code and message for an item that is not stored (BEP 44). */
export type PutRefusal = readonly [code: number, message: string]

/** Items that other nodes put here (BEP 44). Each is verified and kept for 2 hours; above 1000, the oldest put is evicted. */
export class ItemStore {
  readonly #timers: Timers
  readonly #items = new Map<string, { item: Item; expiresMs: number }>()

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Number of items, including expired ones that were not dropped yet. */
  get size(): number {
    return this.#items.size
  }

  get(target: Uint8Array): Item | undefined {
    const key = toHex(target)
    const kept = this.#items.get(key)
    if (kept === undefined) return undefined
    if (kept.expiresMs > this.#timers.now()) return kept.item
    this.#items.delete(key)
    return undefined
  }

  /** Stores a copy of an item, or returns a refusal. `cas` is the sequence number that a stored version must have to be replaced. */
  put(item: Item, cas?: number): PutRefusal | undefined {
    const { encoded, mutable } = item
    if (encoded.length > limits.itemBytes) return [205, 'message (v field) too big']
    if (mutable !== undefined && mutable.salt.length > limits.saltBytes) return [207, 'salt too big']
    const target = itemTarget(item)
    const present = this.get(target)
    if (mutable !== undefined) {
      const { seq: current = -1 } = present?.mutable ?? {}
      if (present !== undefined && cas !== undefined && cas !== current) return [301, 'CAS mismatch']
      if (mutable.seq < current) return [302, 'sequence number less than current']
      if (mutable.seq === current && present !== undefined && !equalBytes(present.encoded, encoded)) {
        return [302, 'sequence number not greater than current']
      }
      if (!verifyItem(encoded, mutable)) return [206, 'invalid signature']
    }
    const key = toHex(target)
    this.#items.delete(key)
    this.#items.set(key, { item: copyOf(item), expiresMs: this.#timers.now() + limits.itemMs })
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= limits.items) break
      this.#items.delete(oldest)
    }
    return undefined
  }

  /** Drops expired items. */
  expire(): void {
    const now = this.#timers.now()
    for (const [key, { expiresMs }] of this.#items) {
      if (expiresMs > now) break
      this.#items.delete(key)
    }
  }
}

function copyOf({ encoded, mutable }: Item): Item {
  if (mutable === undefined) return { encoded: encoded.slice() }
  const { publicKey, salt, seq, signature } = mutable
  return {
    encoded: encoded.slice(),
    mutable: { publicKey: publicKey.slice(), salt: salt.slice(), seq, signature: signature.slice() }
  }
}
