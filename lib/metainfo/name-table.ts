/** Initial capacity, in entries, of the table and of each part of the slots. */
const firstCapacity = 64
const firstSlots = 8
/** Bits of a hash that choose the part of the slots. Parts grow one at a time, so that no growth takes long. */
const partBits = 6

/**
 * A set of names in folders, numbered from 0 in insertion order; folders are numbers too. An entry takes about 40 bytes, its name
 * included. A Map per folder would take 20 times the bytes of the folder's name in the .torrent.
 */
export class NameTable {
  /** The folder and the hash of each entry. */
  #folders = new Int32Array(firstCapacity)
  #hashes = new Int32Array(firstCapacity)
  readonly #names: string[] = []
  readonly #parts: Part[] = []
  /** Random for each table, so that a torrent cannot choose names that all collide in one slot. */
  readonly #seed = Math.floor(Math.random() * 2 ** 31)
  readonly #factor = 2 * Math.floor(Math.random() * 2 ** 30) + 1

  get size(): number {
    return this.#names.length
  }

  /** Returns the number of the folder that contains an entry. */
  folder(entry: number): number {
    return this.#folders[entry] ?? 0
  }

  name(entry: number): string {
    return this.#names[entry] ?? ''
  }

  has(folder: number, name: string): boolean {
    const hash = this.#hash(folder, name)
    const { slots } = this.#part(hash)
    return slots[this.#slot(slots, folder, name, hash)] !== 0
  }

  /** Returns the number of a name; adds the name if it is missing. */
  add(folder: number, name: string): number {
    const hash = this.#hash(folder, name)
    const part = this.#part(hash)
    const slot = this.#slot(part.slots, folder, name, hash)
    const found = part.slots[slot] ?? 0
    if (found > 0) return found - 1
    const entry = this.#names.length
    if (entry === this.#folders.length) {
      this.#folders = longer(this.#folders)
      this.#hashes = longer(this.#hashes)
    }
    this.#folders[entry] = folder
    this.#hashes[entry] = hash
    this.#names.push(name)
    part.slots[slot] = entry + 1
    if (++part.used * 2 > part.slots.length) this.#grow(part)
    return entry
  }

  #part(hash: number): Part {
    const index = hash >>> (32 - partBits)
    let part = this.#parts[index]
    if (part === undefined) this.#parts[index] = part = { slots: new Int32Array(firstSlots), used: 0 }
    return part
  }

  /** Returns the slot of a name, or the free slot where it belongs. */
  #slot(slots: Int32Array, folder: number, name: string, hash: number): number {
    const mask = slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = (slots[slot] ?? 0) - 1
      if (entry < 0) return slot
      if (this.#hashes[entry] === hash && this.#folders[entry] === folder && this.#names[entry] === name)
        return slot
    }
  }

  #hash(folder: number, name: string): number {
    let hash = Math.imul(this.#seed ^ folder, this.#factor)
    for (let n = 0; n < name.length; n++) {
      hash = Math.imul(hash ^ (hash >>> 15) ^ name.charCodeAt(n), this.#factor)
    }
    return hash ^ (hash >>> 16)
  }

  #grow(part: Part): void {
    const slots = new Int32Array(2 * part.slots.length)
    const mask = slots.length - 1
    for (const used of part.slots) {
      if (used === 0) continue
      let slot = (this.#hashes[used - 1] ?? 0) & mask
      while (slots[slot] !== 0) slot = (slot + 1) & mask
      slots[slot] = used
    }
    part.slots = slots
  }
}

/** A part of the slots, with open addressing: the number of an entry plus 1, or 0 for free. At most half are used. */
interface Part {
  slots: Int32Array
  used: number
}

/** Returns a copy with twice the length. */
function longer(numbers: Int32Array): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(2 * numbers.length)
  copy.set(numbers)
  return copy
}
