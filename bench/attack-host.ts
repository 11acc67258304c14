import { randomBytes } from 'node:crypto'
import type { AttackKind } from './attack-kinds.ts'
import { AttackPeer } from './attack-peer.ts'

/** Length of the attacked torrent's pieces, in bytes. */
export const attackPieceLength: number = 16_384
/** How an attacker connects: from one address over one connection, over several, reconnecting again and again, and the last from 127.0.0.1. */
export const ways = ['one', 'several', 'reconnect', 'loopback'] as const
/** `persistent`: over one connection, which is reopened when it is closed. */
export type Way = (typeof ways)[number] | 'persistent'
/** Connections of an attacker with several. */
const several = 4
/** Minimum interval between new connections of each of these: together 1,700 a second. */
const everyMs = 2.35

/** The attacked torrent. */
export interface AttackTarget {
  readonly infoHash: Uint8Array
  readonly pieces: number
}

const noise = randomBytes(attackPieceLength)
const zeros = Buffer.alloc(attackPieceLength)

/** One host that attacks in one way of connecting. */
export class Attack {
  bytes = 0
  connections = 0
  readonly #kind: AttackKind
  readonly #target: AttackTarget
  readonly #port: number
  readonly #way: Way
  readonly #host: string
  #isOver = false

  /** Prepares an attack on the client at a port, from `host` unless its way is `loopback`. */
  constructor(kind: AttackKind, target: AttackTarget, port: number, way: Way, host = '127.7.7.7') {
    this.#host = way === 'loopback' ? '127.0.0.1' : host
    this.#kind = kind
    this.#target = target
    this.#port = port
    this.#way = way
  }

  /** Attacks for `ms` milliseconds. */
  async run(ms: number): Promise<void> {
    const count = this.#way === 'one' || this.#way === 'persistent' ? 1 : several
    const ends = Array.from({ length: count }, () => this.#keepOn())
    await new Promise((resolve) => setTimeout(resolve, ms))
    this.#isOver = true
    await Promise.all(ends)
  }

  /** Opens one connection after another; only one if neither the way nor the kind reconnects. */
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
    // A host that the client ignores gets no answer.
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
    // A victim that has blocks of this peer also serves it.
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
      // If the system accepts every send at once, timers never run without this.
      else await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
