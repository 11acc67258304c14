import { randomBytes } from 'node:crypto'
import { chooseMethod, type Encryption, type MseMethod, methodBits } from './encryption.ts'
import { type KeyPair, keyLength } from './key-pair.ts'
import { limits } from './limits.ts'
import { type Agreement, fault, HandshakeBytes, type MseHandshake, padLength } from './mse-handshake.ts'
import { hashLength, hideName, markOf, type Streams, streamsOf } from './secrets.ts'

/** Bytes of the verification constant, the offered methods, and the length of PadC. */
const offerLength = 14

/** Options of an {@link MseResponder}. */
export interface MseResponderOptions {
  readonly encryption: Encryption
  readonly keyPair: KeyPair
  /**
   * Returns the info hash (20 bytes) whose MSE hash (SHA-1 of `req2` and the info hash) is `name`, or undefined. Takes the same time for any
   * number of torrents.
   */
  find(name: Uint8Array): Uint8Array | undefined
  /** Returns the length of a padding; random by default. */
  padLength?(): number
}

/**
 * The side of an MSE handshake that was dialled.
 *
 * - key: waits for the public key of the peer, and answers with ours
 * - mark: waits for the end of the padding
 * - name: waits for the name of the torrent
 * - offer: waits for the methods that the peer offers
 * - padding: waits for the end of the last padding, and answers with the method that we choose
 */
export class MseResponder implements MseHandshake {
  heard: 'nothing' | 'unclear' | 'key' | 'answer' = 'nothing'
  agreement: Agreement | undefined
  readonly #options: MseResponderOptions
  readonly #bytes = new HandshakeBytes()
  #shared: Uint8Array | undefined
  #mark: Uint8Array | undefined
  #streams: Streams | undefined
  #method: MseMethod | undefined
  #padding = 0

  constructor(options: MseResponderOptions) {
    this.#options = options
  }

  begin(): Uint8Array {
    return new Uint8Array()
  }

  receive(chunk: Uint8Array): Uint8Array {
    this.#bytes.add(chunk)
    if (this.heard === 'nothing') this.heard = 'unclear'
    if (this.#shared === undefined) {
      const key = this.#bytes.take(keyLength)
      if (key === undefined) return new Uint8Array()
      this.heard = 'key'
      const { keyPair } = this.#options
      this.#shared = keyPair.sharedWith(key)
      this.#mark = markOf(this.#shared)
      return Buffer.concat([keyPair.publicKey, randomBytes(this.#padLength()), this.#answerOffer()])
    }
    return this.#answerOffer()
  }

  #answerOffer(): Uint8Array {
    const nothing = new Uint8Array()
    if (this.#mark !== undefined) {
      if (!this.#bytes.skipTo(this.#mark)) return nothing
      this.#mark = undefined
    }
    this.#streams ??= this.#readName()
    const streams = this.#streams
    if (streams === undefined) return nothing
    if (this.#method === undefined) {
      const offer = this.#bytes.take(offerLength)
      if (offer === undefined) return nothing
      streams.dialler.apply(offer)
      if (offer.readUInt32BE(0) !== 0 || offer.readUInt32BE(4) !== 0) throw fault('has a wrong constant')
      this.heard = 'answer'
      const offered = offer.readUInt32BE(8)
      this.#method = chooseMethod(this.#options.encryption, offered)
      if (this.#method === undefined) throw fault(`offers ${offered}, which is not allowed here`)
      this.#padding = offer.readUInt16BE(12)
      if (this.#padding > limits.padBytes) throw fault(`has a padding of ${this.#padding} bytes`)
    }
    // PadC and the length of IA.
    const end = this.#bytes.take(this.#padding + 2)
    if (end === undefined) return nothing
    streams.dialler.apply(end)
    this.agreement = {
      method: this.#method,
      sending: streams.dialled,
      receiving: streams.dialler,
      enciphered: end.readUInt16BE(this.#padding),
      rest: this.#bytes.takeRest()
    }
    return this.#choice(streams, this.#method)
  }

  #readName(): Streams | undefined {
    const shared = this.#shared
    const hidden = this.#bytes.take(hashLength)
    if (hidden === undefined || shared === undefined) return undefined
    const infoHash = this.#options.find(hideName(hidden, shared))
    if (infoHash === undefined) throw fault('asks for a torrent that this client does not have')
    return streamsOf(shared, infoHash)
  }

  #choice({ dialled }: Streams, method: MseMethod): Uint8Array {
    const padding = this.#padLength()
    const choice = Buffer.alloc(offerLength + padding)
    choice.writeUInt32BE(methodBits[method], 8)
    choice.writeUInt16BE(padding, 12)
    dialled.apply(choice)
    return choice
  }

  #padLength(): number {
    return this.#options.padLength?.() ?? padLength()
  }
}
