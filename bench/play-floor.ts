// A lower bound of the waiting times: a clairvoyant player that knows every link, dials all honest peers at once and splits the requests
// by rate. It fetches whole the pieces of the first MiB, because bytes cannot be verified before their piece is complete.
//   node play-floor.js '<FloorTask as JSON>'
// Prints a PlayReport as JSON. It measures waits and plays nothing.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'
import { Wire } from '../lib/wire/wire.ts'
import type { PlayReport } from './play-process.ts'
import { Comparer } from './sample.ts'

/** The swarm, including facts that no real player knows. */
export interface FloorTask {
  readonly torrent: string
  readonly original: string
  readonly seekTo: number
  readonly links: readonly { readonly port: number; readonly rate: number; readonly delayMs: number }[]
}

interface FloorPeer {
  readonly wire: Wire
  readonly bytesPerMs: number
  readonly delayMs: number
  /** When the link is free again, as far as known. */
  freeMs: number
}

const mebibyte = 1 << 20
const blockLength = 16384

class Floor {
  readonly #pieceLength: number
  readonly #peers: FloorPeer[]
  readonly #comparer: Comparer
  #beganMs = 0
  /** File offsets of blocks not requested yet. */
  #blocks: number[] = []
  #missing = 0
  #finish: () => void = () => {}

  constructor({ torrent, links }: FloorTask, comparer: Comparer) {
    const { infoHashes, pieceLength, length } = parseTorrent(readFileSync(torrent))
    this.#pieceLength = pieceLength
    this.#comparer = comparer
    const pieceCount = Math.ceil(length / pieceLength)
    this.#beganMs = performance.now()
    this.#peers = links.map(({ port, rate, delayMs }) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true })
      const wire = new Wire({ pieceCount, pieceLength, totalLength: length })
      socket.on('error', () => {})
      wire.on('handshake', () => wire.haveNone())
      wire.on('bitfield', () => wire.interested())
      wire.on('unchoke', () => this.#assign())
      wire.on('piece', (piece, offset, data) => this.#received(piece * pieceLength + offset, data))
      wire.handshake(infoHashes.v1 ?? new Uint8Array(20), randomBytes(20))
      socket.pipe(wire).pipe(socket)
      return { wire, bytesPerMs: rate / 1000, delayMs, freeMs: 0 }
    })
  }

  /** Milliseconds until the pieces of the MiB at an offset have arrived. */
  async fetch(byteOffset: number, beganMs: number): Promise<number> {
    this.#beganMs = beganMs
    const firstPiece = Math.floor(byteOffset / this.#pieceLength)
    const endPiece = Math.ceil((byteOffset + mebibyte) / this.#pieceLength)
    this.#blocks = []
    for (let at = firstPiece * this.#pieceLength; at < endPiece * this.#pieceLength; at += blockLength) {
      this.#blocks.push(at)
    }
    this.#missing = this.#blocks.length
    for (const peer of this.#peers) peer.freeMs = 0
    const done = new Promise<void>((resolve) => {
      this.#finish = resolve
    })
    this.#assign()
    await done
    return Math.round(performance.now() - beganMs)
  }

  /** Assigns each block to the link that delivers it first; waits for a peer that has not unchoked yet if that is earlier. */
  #assign(): void {
    const now = performance.now() - this.#beganMs
    const plan = this.#peers.map((peer) => {
      // Handshake, then interested, one round trip each.
      const ready = peer.wire.peerChoking ? Math.max(now, peer.delayMs * 4) : now
      return { peer, atMs: Math.max(peer.freeMs, ready + 2 * peer.delayMs) }
    })
    this.#blocks = this.#blocks.filter((byteOffset) => {
      let best = plan[0]
      for (const other of plan) if (arrival(other) < (best === undefined ? 0 : arrival(best))) best = other
      if (best === undefined) return true
      best.atMs = arrival(best)
      if (best.peer.wire.peerChoking) return true
      best.peer.freeMs = best.atMs
      const piece = Math.floor(byteOffset / this.#pieceLength)
      best.peer.wire.request(piece, byteOffset - piece * this.#pieceLength, blockLength)
      return false
    })
  }

  #received(byteOffset: number, data: Uint8Array): void {
    this.#comparer.compare(byteOffset, data)
    this.#missing--
    if (this.#missing === 0) this.#finish()
  }
}

function arrival({ peer, atMs }: { readonly peer: FloorPeer; readonly atMs: number }): number {
  return atMs + blockLength / peer.bytesPerMs
}

const task: FloorTask = JSON.parse(process.argv[2] ?? '{}')
const comparer = new Comparer(task.original)
const { length } = parseTorrent(readFileSync(task.torrent))
const began = performance.now()
const floor = new Floor(task, comparer)
const firstMs = await floor.fetch(0, began)
await sleep(2000)
const seekMs = await floor.fetch(Math.floor(length * task.seekTo), performance.now())
const { user, system } = process.cpuUsage()
const part = { stalls: 0, stallMs: 0, readBytes: mebibyte }
const report: PlayReport = {
  start: { ...part, firstMebibyteMs: firstMs },
  seek: { ...part, firstMebibyteMs: seekMs },
  cpuSeconds: (user + system) / 1e6,
  comparedBytes: comparer.comparedBytes,
  wrongChunks: comparer.wrongChunks
}
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
