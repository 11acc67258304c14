import { randomInt } from 'node:crypto'
import { TorrentError } from '../../util/errors.ts'
import type { MseMethod } from './encryption.ts'
import { limits } from './limits.ts'
import type { Rc4 } from './rc4.ts'

/** The result of an MSE handshake. */
export interface Agreement {
  readonly method: MseMethod
  /** The stream for bytes that we send. */
  readonly sending: Rc4
  /** The stream for bytes that we receive. */
  readonly receiving: Rc4
  /** Number of following bytes from the peer that are enciphered whatever the method is: the rest of IA. */
  readonly enciphered: number
  /** Bytes that follow the handshake, as they were received. */
  readonly rest: Uint8Array
}

/** One side of an MSE handshake, without a connection. Pure, apart from random keys and paddings. */
export interface MseHandshake {
  /**
   * How far the peer has answered: with nothing; with `unclear` bytes; with its public key, as all programs
   * with MSE do; or with its `answer`, so that it knows the torrent.
   */
  readonly heard: 'nothing' | 'unclear' | 'key' | 'answer'
  /** Set when the handshake is done. */
  readonly agreement: Agreement | undefined
  /** Returns the first bytes to send. Call it once. */
  begin(): Uint8Array
  /**
   * Reads bytes from the peer, and returns the bytes to send. `takeInitial` returns the bytes that the
   * program wants to send first; the side that dials sends them with its handshake.
   * @throws TorrentError ERR_WIRE_PROTOCOL
   */
  receive(chunk: Uint8Array, takeInitial: () => Uint8Array): Uint8Array
}

/** Returns a random number of padding bytes. */
export function padLength(): number {
  return randomInt(limits.padBytes + 1)
}

/** The bytes of a handshake that were received and not read yet. */
export class HandshakeBytes {
  #bytes: Buffer = Buffer.alloc(0)
  #reads = 0

  get length(): number {
    return this.#bytes.length
  }

  /** Appends a copy of a chunk. */
  add(chunk: Uint8Array): void {
    if (++this.#reads > limits.reads) throw fault('comes in too many pieces')
    this.#bytes = Buffer.concat([this.#bytes, chunk])
  }

  /** Returns the next bytes and removes them; undefined if there are not as many yet. */
  take(length: number): Buffer | undefined {
    if (this.#bytes.length < length) return undefined
    const taken = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return taken
  }

  /**
   * Removes everything up to a mark and the mark itself. Returns whether it was found; a padding of more than
   * 512 bytes before it is an error.
   */
  skipTo(mark: Uint8Array): boolean {
    const most = limits.padBytes + mark.length
    const at = this.#bytes.subarray(0, most).indexOf(mark)
    if (at >= 0) this.#bytes = this.#bytes.subarray(at + mark.length)
    else if (this.#bytes.length >= most) throw fault('has no end of its padding')
    return at >= 0
  }

  /** Returns a copy of the rest and removes it. */
  takeRest(): Uint8Array {
    const rest = new Uint8Array(this.#bytes)
    this.#bytes = Buffer.alloc(0)
    return rest
  }
}

/** Returns the error for a handshake that is wrong. */
export function fault(what: string): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', `the peer's encryption handshake ${what}`)
}
