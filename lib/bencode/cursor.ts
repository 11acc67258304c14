import { skipValue } from './skip-value.ts'

/** First bytes of values, and the byte that ends lists and dictionaries. */
const listByte = 0x6c
const dictByte = 0x64
const integerByte = 0x69
const endByte = 0x65

/** Type of a value, determined by its first byte. */
export type ValueKind = 'list' | 'dict' | 'integer' | 'string'

/** Walks through validated bencode from value to value, and decodes only the values requested. */
export class Cursor {
  /** The validated bytes; they must not change. */
  readonly bytes: Uint8Array
  /** Offset of the next value or key, or of the end of a list or dictionary. */
  at: number

  /** Makes a cursor before the value at `at`. */
  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes
    this.at = at
  }

  /** Type of the next value. */
  get kind(): ValueKind {
    const byte = this.bytes[this.at]
    if (byte === listByte) return 'list'
    if (byte === dictByte) return 'dict'
    return byte === integerByte ? 'integer' : 'string'
  }

  /** Moves into the list or dictionary at the cursor. */
  enter(): void {
    this.at++
  }

  /** Returns whether the list or dictionary ends here, and if so moves past its end. */
  leave(): boolean {
    if (this.bytes[this.at] !== endByte) return false
    this.at++
    return true
  }

  /** Moves past the next value. */
  skip(): void {
    this.at = skipValue(this.bytes, this.at)
  }

  /** Moves to the first byte of the string at the cursor, and returns the offset of its end. */
  string(): number {
    const { bytes } = this
    let { at } = this
    let length = 0
    for (let digit = bytes[at] ?? 0x3a; digit !== 0x3a; digit = bytes[++at] ?? 0x3a)
      length = length * 10 + digit - 0x30
    this.at = at + 1
    return at + 1 + length
  }

  /** Moves past the next value and returns it if it is a string or an integer, otherwise undefined; strings are views. */
  scalar(): number | bigint | Uint8Array | undefined {
    const { bytes, kind } = this
    if (kind === 'string') {
      const end = this.string()
      const start = this.at
      this.at = end
      return bytes.subarray(start, end)
    }
    if (kind !== 'integer') {
      this.skip()
      return undefined
    }
    const end = bytes.indexOf(endByte, this.at)
    const digits = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('latin1', this.at + 1)
    this.at = end + 1
    // Turns -0 into 0.
    const value = Number(digits) || 0
    return Number.isSafeInteger(value) ? value : BigInt(digits)
  }
}
