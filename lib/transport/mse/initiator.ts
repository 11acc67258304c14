import { randomBytes } from 'node:crypto'
import { type MseMethod, methodBits } from './encryption.ts'
import { type KeyPair, keyLength } from './key-pair.ts'
import { limits } from './limits.ts'
import { type Agreement, fault, HandshakeBytes, type MseHandshake, padLength } from './mse-handshake.ts'
import { hideName, markOf, nameOf, type Streams, streamsOf } from './secrets.ts'

/** Bytes of the verification constant, which are all zero (MSE). */
const constantLength = 8

/** Options of an {@link MseInitiator}. */
export interface MseInitiatorOptions {
  /** The torrent, as the BitTorrent handshake names it: 20 bytes. */
  readonly infoHash: Uint8Array
  /** Methods that we offer. */
  readonly methods: readonly MseMethod[]
  readonly keyPair: KeyPair
  /** Returns the length of a padding; random by default. */
  padLength?(): number
}

/**
 * The side of an MSE handshake that dials.
 *
 * - key: waits for the public key of the peer, and answers it with the name of the torrent and our offer
 * - constant: skips padding until the verification constant, which shows that the peer has read our offer
 * - choice: waits for the method that the peer chooses
 * - padding: waits for the end of the last padding
 */
export class MseInitiator implements MseHandshake {
  heard: 'nothing' | 'unclear' | 'key' | 'answer' = 'nothing'
  agreement: Agreement | undefined
  readonly #options: MseInitiatorOptions
  readonly #bytes = new HandshakeBytes()
  #streams: Streams | undefined
  /** The verification constant as the peer enciphers it. */
  #constant: Uint8Array | undefined
  #method: MseMethod | undefined
  #padding = 0

  constructor(options: MseInitiatorOptions) {
    this.#options = options
  }

  begin(): Uint8Array {
    return Buffer.concat([this.#options.keyPair.publicKey, randomBytes(this.#padLength())])
  }

  receive(chunk: Uint8Array, takeInitial: () => Uint8Array): Uint8Array {
    this.#bytes.add(chunk)
    if (this.heard === 'nothing') this.heard = 'unclear'
    let reply = new Uint8Array()
    if (this.#streams === undefined) {
      const key = this.#bytes.take(keyLength)
      if (key === undefined) return reply
      this.heard = 'key'
      reply = this.#answerKey(key, takeInitial()) as Uint8Array<ArrayBuffer>
    }
    this.#readChoice()
    return reply
  }

  #answerKey(key: Uint8Array, initial: Uint8Array): Uint8Array {
    const { infoHash, keyPair, methods } = this.#options
    const shared = keyPair.sharedWith(key)
    const streams = streamsOf(shared, infoHash)
    this.#streams = streams
    this.#constant = new Uint8Array(constantLength)
    streams.dialled.apply(this.#constant)
    const padding = this.#padLength()
    const offer = Buffer.alloc(constantLength + 4 + 2 + padding + 2 + initial.length)
    let at = constantLength
    at = offer.writeUInt32BE(
      methods.reduce((bits, method) => bits | methodBits[method], 0),
      at
    )
    at = offer.writeUInt16BE(padding, at) + padding
    at = offer.writeUInt16BE(initial.length, at)
    offer.set(initial, at)
    streams.dialler.apply(offer)
    return Buffer.concat([markOf(shared), hideName(nameOf(infoHash), shared), offer])
  }

  #readChoice(): void {
    const streams = this.#streams
    if (streams === undefined) return
    if (this.#constant !== undefined) {
      if (!this.#bytes.skipTo(this.#constant)) return
      this.#constant = undefined
      this.heard = 'answer'
    }
    if (this.#method === undefined) {
      const choice = this.#bytes.take(6)
      if (choice === undefined) return
      streams.dialled.apply(choice)
      const selected = choice.readUInt32BE(0)
      this.#method = this.#options.methods.find((method) => methodBits[method] === selected)
      if (this.#method === undefined) throw fault(`chooses ${selected}, which was not offered`)
      this.#padding = choice.readUInt16BE(4)
      if (this.#padding > limits.padBytes) throw fault(`has a padding of ${this.#padding} bytes`)
    }
    const padding = this.#bytes.take(this.#padding)
    if (padding === undefined) return
    streams.dialled.apply(padding)
    this.agreement = {
      method: this.#method,
      sending: streams.dialler,
      receiving: streams.dialled,
      enciphered: 0,
      rest: this.#bytes.takeRest()
    }
  }

  #padLength(): number {
    return this.#options.padLength?.() ?? padLength()
  }
}
