import { randomBytes } from 'node:crypto'
import type { AttackKind } from './attack-kinds.ts'
import { AttackPeer } from './attack-peer.ts'

/** Length of the pieces of a torrent that is attacked, in bytes. */
export const attackPieceLength: number = 16_384
/** How an attacker connects: from one address by one connection, by several, again and again, and the same from 127.0.0.1 itself. */
export const ways = ['one', 'several', 'reconnect', 'loopback'] as const
/** Also: by one connection, and another one when that was closed. */
export type Way = (typeof ways)[number] | 'persistent'
/** Connections of an attacker that has several. */
const several = 4
/** A connection is opened at most this often by each of these: all together 1,700 a second. */
const everyMs = 2.35

/** The torrent that is attacked. */
export interface AttackTarget {
  readonly infoHash: Uint8Array
  readonly pieces: number
}

const noise = randomBytes(attackPieceLength)
const zeros = Buffer.alloc(attackPieceLength)

/** One host that attacks by one way of connecting. */
export class Attack {
  bytes = 0
  connections = 0
  readonly #kind: AttackKind
  readonly #target: AttackTarget
  readonly #port: number
  readonly #way: Way
  readonly #host: string
  #isOver = false

  /** An attack on the client at a port, from `host` unless its way is `loopback`. */
  constructor(kind: AttackKind, target: AttackTarget, port: number, way: Way, host = '127.7.7.7') {
    this.#host = way === 'loopback' ? '127.0.0.1' : host
    this.#kind = kind
    this.#target = target
    this.#port = port
    this.#way = way
  }

  /** Attacks for so long. */
  async run(ms: number): Promise<void> {
    const count = this.#way === 'one' || this.#way === 'persistent' ? 1 : several
    const ends = Array.from({ length: count }, () => this.#keepOn())
    await new Promise((resolve) => setTimeout(resolve, ms))
    this.#isOver = true
    await Promise.all(ends)
  }

  /** One connection after the other; where none comes again, until the first has ended. */
  async #keepOn(): Promise<void> {
    const comesAgain = this.#way !== 'one' && this.#way !== 'several'
    do {
      const next = performance.now() + everyMs
      await this.#connection(comesAgain || this.#kind.once === true)
      await wait(next - performance.now())
    } while (!this.#isOver && (comesAgain || this.#kind.once === true))
  }

  async #connection(isShort: boolean): Promise<void> {
    const { fast = true, silent, answers } = this.#kind
    const peer = new AttackPeer({
      port: this.#port,
      from: this.#host,
      infoHash: this.#target.infoHash,
      fast,
      silent,
      answer:
        answers === undefined
          ? undefined
          : (_, offset, length) => (answers === 'right' ? zeros : noise).subarray(offset, offset + length)
    })
    this.connections++
    const over = setInterval(() => this.#isOver && peer.socket.destroy(), 20)
    // A host that is not heard any more gets no answer either.
    const isReady = silent === true || (await Promise.race([peer.ready, wait(1000).then(() => false)]))
    if (isReady && !peer.isClosed) await this.#talk(peer, isShort)
    if (peer.isClosed || !isReady) peer.socket.destroy()
    else await peer.end(1000)
    clearInterval(over)
    this.bytes += peer.sent
  }

  async #talk(peer: AttackPeer, isShort: boolean): Promise<void> {
    const { begin, repeat, rounds, pauseMs = 0, tiny = false, answers, once = false } = this.#kind
    const setting = { pieces: this.#target.pieces, pieceLength: attackPieceLength, ids: peer.ids }
    await peer.send(Buffer.concat(begin?.(setting) ?? []))
    // A victim that has blocks of this peer serves it, too.
    if (answers === 'right') await wait(300)
    for (let round = 0; !peer.isClosed && !this.#isOver; ) {
      const parts: Uint8Array[] = []
      for (const end = round + rounds; round < end; round++) parts.push(...repeat(setting, round))
      const bytes = Buffer.concat(parts)
      if (!tiny) await peer.send(bytes)
      else
        for (let at = 0; at < bytes.length && !peer.isClosed; at++) {
          await peer.send(bytes.subarray(at, at + 1))
          await new Promise((resolve) => setImmediate(resolve))
        }
      if (once || (isShort && this.#way !== 'persistent')) return
      if (bytes.length <= 4 || pauseMs > 0) await wait(pauseMs || 10)
      // Where the system takes all that is sent at once, timers would never have their turn.
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
