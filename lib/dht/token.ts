import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Timers } from '../util/timers.ts'
import type { RandomBytes } from './node-id.ts'

const secretBytes = 20
const tokenBytes = 8
/** Rotation interval of the secret. A token is valid for one to two of these. */
const rotationMs = 5 * 60_000

/**
 * Write tokens (BEP 5): a keyed hash of address and target under a secret that changes every 5 minutes. No state is stored per token,
 * and a node cannot announce a forged address.
 */
export class Tokens {
  readonly #timers: Timers
  readonly #random: RandomBytes
  #secret: Uint8Array
  #previous: Uint8Array
  #rotatedMs: number

  /** Creates tokens with new secrets. */
  constructor(timers: Timers, random: RandomBytes) {
    this.#timers = timers
    this.#random = random
    this.#secret = random(secretBytes)
    this.#previous = random(secretBytes)
    this.#rotatedMs = timers.now()
  }

  /** Returns the token with which the host may write under this target, 8 bytes. */
  create(host: string, target: Uint8Array): Uint8Array {
    this.#rotate()
    return sign(this.#secret, host, target)
  }

  /** Whether the token was issued to this host for this target and has not expired, which takes 5 to 10 minutes. */
  verify(token: Uint8Array | undefined, host: string, target: Uint8Array): boolean {
    if (token?.length !== tokenBytes) return false
    this.#rotate()
    return [this.#secret, this.#previous].some((secret) => timingSafeEqual(sign(secret, host, target), token))
  }

  #rotate(): void {
    const age = this.#timers.now() - this.#rotatedMs
    if (age < rotationMs) return
    this.#previous = age < 2 * rotationMs ? this.#secret : this.#random(secretBytes)
    this.#secret = this.#random(secretBytes)
    this.#rotatedMs = this.#timers.now()
  }
}

function sign(secret: Uint8Array, host: string, target: Uint8Array): Uint8Array {
  const digest = createHmac('sha1', secret).update(target).update(host).digest()
  return new Uint8Array(digest.subarray(0, tokenBytes))
}
