import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { blockLength } from '../lib/metainfo/layout.ts'
import { messageIds } from '../lib/wire/messages.ts'

/** Returns a message of the peer protocol (BEP 3). */
export function message(id: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 1)
  return Buffer.concat([uint32(length), Uint8Array.of(id), ...parts])
}

/** Returns numbers as four bytes each, big endian. */
export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * n)
  return bytes
}

/** Returns an extended message (BEP 10). */
export function extended(id: number, payload: Uint8Array): Buffer {
  return message(messageIds.extended, Uint8Array.of(id), payload)
}

/** Options of an {@link AttackPeer}. */
export interface AttackPeerOptions {
  readonly port: number
  /** The local address to dial from. */
  readonly from: string
  readonly infoHash: Uint8Array
  /** Whether it supports the fast extension (BEP 6). */
  readonly fast: boolean
  /** Whether it sends nothing, not even its handshake. */
  readonly silent?: boolean | undefined
  /** Minimum interval between answers to requests, in milliseconds; default 0. */
  readonly answerEveryMs?: number | undefined
  /** Returns the block that answers a request; undefined ignores the request. */
  readonly answer?: ((piece: number, offset: number, length: number) => Buffer | undefined) | undefined
}

/** A hostile peer on a bare socket: sends given bytes as fast as the victim reads. */
export class AttackPeer {
  readonly socket: Socket
  /** Resolves with false when the connection is closed. */
  readonly closed: Promise<false>
  /** Resolves with true when the victim's extended handshake has arrived, or with false when the connection is closed. */
  readonly ready: Promise<boolean>
  /** Message ids of the victim's extensions (BEP 10). */
  readonly ids: Record<string, number> = {}
  isClosed = false
  readonly #answer: AttackPeerOptions['answer']
  readonly #answerEveryMs: number
  #answerAt = 0
  #waiting: Buffer = Buffer.alloc(0)
  #isMet = false
  #meet: () => void = () => {}

  constructor(options: AttackPeerOptions) {
    const { port, from, infoHash, fast, silent = false, answer, answerEveryMs = 0 } = options
    this.#answer = answer
    this.#answerEveryMs = answerEveryMs
    this.socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true })
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.isClosed = true
        resolve(false)
      })
    })
    const met = new Promise<boolean>((resolve) => {
      this.#meet = () => resolve(true)
    })
    this.ready = Promise.race([met, this.closed])
    this.socket.on('data', (bytes) => this.#read(bytes))
    if (silent) return
    const reserved = Uint8Array.of(0, 0, 0, 0, 0, 0x10, 0, fast ? 4 : 0)
    const hello = Buffer.from('\x13BitTorrent protocol', 'latin1')
    this.socket.write(Buffer.concat([hello, reserved, infoHash, randomBytes(20)]))
  }

  /** Bytes accepted by the system so far. */
  get sent(): number {
    return this.socket.bytesWritten - this.socket.writableLength
  }

  /** Sends bytes; resolves when more can be sent. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.isClosed || this.socket.write(bytes)) return
    await Promise.race([new Promise((resolve) => this.socket.once('drain', resolve)), this.closed])
  }

  /** Closes the connection after all sent bytes; resolves when it is closed, after `ms` at the latest. */
  async end(ms: number): Promise<void> {
    this.socket.end()
    const late = setTimeout(() => this.socket.destroy(), ms)
    await this.closed
    clearTimeout(late)
  }

  #read(bytes: Buffer): void {
    let rest = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes])
    if (!this.#isMet) {
      if (rest.length < 68) {
        this.#waiting = rest
        return
      }
      rest = rest.subarray(68)
      this.#isMet = true
    }
    while (rest.length >= 4) {
      const length = rest.readUInt32BE(0)
      if (rest.length < 4 + length) break
      if (length > 0) this.#onMessage(rest.subarray(4, 4 + length))
      rest = rest.subarray(4 + length)
    }
    this.#waiting = rest
  }

  #reply(bytes: Uint8Array): void {
    if (this.#answerEveryMs === 0) {
      this.socket.write(bytes)
      return
    }
    const now = performance.now()
    this.#answerAt = Math.max(now, this.#answerAt) + this.#answerEveryMs
    setTimeout(() => this.isClosed || this.socket.write(bytes), this.#answerAt - now)
  }

  #onMessage(bytes: Buffer): void {
    if (bytes[0] === messageIds.request && this.#answer !== undefined) {
      const [piece, offset, length] = [bytes.readUInt32BE(1), bytes.readUInt32BE(5), bytes.readUInt32BE(9)]
      const block = this.#answer(piece, offset, Math.min(length, blockLength))
      if (block !== undefined) this.#reply(message(messageIds.piece, uint32(piece, offset), block))
    }
    if (bytes[0] !== messageIds.extended || bytes[1] !== 0) return
    const names = /\d+:(lt_donthave|upload_only|ut_pex|ut_metadata)i(\d+)e/g
    for (const [, name, id] of bytes.toString('latin1').matchAll(names)) this.ids[name ?? ''] ??= Number(id)
    this.#meet()
  }
}
