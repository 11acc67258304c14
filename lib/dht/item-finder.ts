import { equalBytes } from '../util/bytes.ts'
import { type Item, itemTarget, verifyItem } from './item.ts'
import { limits } from './limits.ts'
import type { LookupAnswer } from './lookup.ts'
import { addressKey } from './node-info.ts'
import { itemOf } from './responder.ts'

/** Selects the best verified item among all responses to `get`. */
export class ItemFinder {
  readonly #target: Uint8Array
  readonly #salt: Uint8Array
  /** The verified item with the highest sequence number so far. */
  best: Item | undefined
  /** Addresses of nodes that hold a version of the item, see `addressKey`. */
  readonly holders: Set<string> = new Set<string>()

  /** Creates a finder for the item at a target. The salt is part of the signed bytes of a mutable item. */
  constructor(target: Uint8Array, salt: Uint8Array) {
    this.#target = target
    this.#salt = salt
  }

  /** Considers a response. */
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
