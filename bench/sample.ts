import { createCipheriv } from 'node:crypto'
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs'

/** Writes a file of pseudo-random bytes that are the same every time. */
export function writeSample(file: string, length: number): void {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  const zeros = Buffer.alloc(4 << 20)
  const handle = openSync(file, 'w')
  for (let left = length; left > 0; left -= zeros.length) {
    writeSync(handle, cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros))
  }
  closeSync(handle)
}

/** Throws when two files differ. */
export function requireSame(file: string, original: string): void {
  const { size } = statSync(original)
  if (statSync(file).size !== size) throw new Error(`${file} has another length than ${original}`)
  const comparer = new Comparer(original)
  const handle = openSync(file, 'r')
  const chunk = Buffer.allocUnsafe(4 << 20)
  try {
    for (let at = 0; at < size; ) {
      const count = readSync(handle, chunk, 0, chunk.length, at)
      comparer.compare(at, chunk.subarray(0, count))
      at += count
    }
  } finally {
    closeSync(handle)
    comparer.close()
  }
  if (comparer.wrongChunks > 0) throw new Error(`${file} differs from ${original}`)
}

/** Compares delivered bytes with the original file. */
export class Comparer {
  readonly #handle: number
  #memory = Buffer.alloc(0)
  /** Bytes compared so far. */
  comparedBytes = 0
  /** Chunks with at least one wrong byte. */
  wrongChunks = 0

  /** Opens the original. */
  constructor(original: string) {
    this.#handle = openSync(original, 'r')
  }

  /** Compares a chunk at an offset of the file. */
  compare(byteOffset: number, chunk: Uint8Array): void {
    if (this.#memory.length < chunk.length) this.#memory = Buffer.alloc(chunk.length)
    const expected = this.#memory.subarray(0, chunk.length)
    const count = readSync(this.#handle, expected, 0, chunk.length, byteOffset)
    if (count !== chunk.length || !expected.equals(chunk)) this.wrongChunks++
    this.comparedBytes += chunk.length
  }

  /** Closes the original. */
  close(): void {
    closeSync(this.#handle)
  }
}
