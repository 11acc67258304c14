import { equalBytes } from '../util/bytes.ts'
import { type Item, itemTarget, verifyItem } from './item.ts'
import { limits } from './limits.ts'
import type { LookupAnswer } from './lookup.ts'
import { addressKey } from './node-info.ts'
import { itemOf } from './responder.ts'

/** Picks the best verified item of all answers to get. */
export class ItemFinder {
  readonly #target: Uint8Array
  readonly #salt: Uint8Array
  /** The verified item with the highest sequence number so far. */
  best: Item | undefined
  /** Addresses of nodes that have a version of it. */
  readonly holders: Set<string> = new Set<string>()

  /** For the item at a target; the salt is part of what a mutable one is signed with. */
  constructor(target: Uint8Array, salt: Uint8Array) {
    this.#target = target
    this.#salt = salt
  }

  /** Takes an answer into account. */
  add({ node, values }: LookupAnswer): void {
    const item = itemOf(values, this.#salt)
    if (item === undefined || item.encoded.length > limits.itemBytes) return
    if (!equalBytes(itemTarget(item), this.#target)) return
    this.holders.add(addressKey(node))
    const { mutable } = item
    if (mutable !== undefined) {
      if (mutable.seq <= (this.best?.mutable?.seq ?? -1)) return
      if (!verifyItem(item.encoded, mutable)) return
    }
    this.best = item
  }
}
