import type { ByteWindow } from '../../lib/pieces/byte-window.ts'
import { Lookahead } from '../../lib/stream/lookahead.ts'
import type { ReaderPlan, SimSwarm } from './swarm.ts'

/** The most bytes of one read, as in FileStream. */
const chunkBytes = 256 << 10
/** Bytes that a player needs to start, also after a seek. */
const startBytes = 1 << 20
/** Milliseconds that a player buffers ahead. */
const bufferMs = 10_000
/** Milliseconds of playback that precede the index of a film, as in FileStream. */
const indexDelayMs = 2000
/** Windows over an index have numbers from here on. */
const firstIndexId = 1_000_000

/** Times measured after a start or a seek. */
export interface Jump {
  readonly at: number
  readonly offset: number
  /** When the first byte and the first MiB came. */
  firstByteAt: number
  firstMiBAt: number
  /** When playback began, and ended by a seek or the end. */
  endedAt: number
  stalls: number
  stalledMs: number
}

/** A player with a buffer over a stream that opens windows exactly like a FileStream. */
export class SimReader {
  readonly jumps: Jump[] = []
  ended = false
  readonly plan: ReaderPlan
  readonly #swarm: SimSwarm
  readonly #id: number
  readonly #lookahead = new Lookahead()
  #position = 0
  #cursor: ByteWindow | undefined
  #window = ''
  #paused = false
  #waitingFor = -1
  #askedAt = 0
  #jump: Jump | undefined
  /** Bytes in the player's buffer, as of `#levelAt`. */
  #level = 0
  #levelAt = 0
  #playing = false
  #stalledAt = -1
  #lastStallEnd = Number.NEGATIVE_INFINITY
  /** Counts jumps and reads, so that earlier callbacks are ignored. */
  #turn = 0

  constructor(swarm: SimSwarm, id: number, plan: ReaderPlan) {
    this.#swarm = swarm
    this.#id = id
    this.plan = plan
    swarm.loop.at(plan.startsAtMs, () => this.#jumpTo(plan.start))
    for (const { atMs, to } of plan.seeks) swarm.loop.at(atMs, () => !this.ended && this.#jumpTo(to))
    if (plan.pausesAtMs !== undefined) swarm.loop.at(plan.pausesAtMs, () => this.#pause())
    if (plan.stopsAtMs !== undefined) swarm.loop.at(plan.stopsAtMs, () => this.#end())
  }

  /** Handles a verified piece. */
  verified(piece: number): void {
    if (piece !== this.#waitingFor || this.ended) return
    this.#waitingFor = -1
    this.#deliver()
  }

  #jumpTo(offset: number): void {
    const { now } = this.#swarm.loop
    this.#closeJump()
    const jump: Jump = {
      at: now,
      offset,
      firstByteAt: Number.POSITIVE_INFINITY,
      firstMiBAt: Number.POSITIVE_INFINITY,
      endedAt: Number.POSITIVE_INFINITY,
      stalls: 0,
      stalledMs: 0
    }
    this.jumps.push(jump)
    this.#jump = jump
    this.#position = offset
    this.#level = 0
    this.#levelAt = now
    this.#playing = false
    this.#stalledAt = -1
    this.#waitingFor = -1
    this.#turn++
    this.#lookahead.reset()
    if (this.#window !== '') this.#moveWindow(true)
    this.#read()
  }

  #pause(): void {
    this.#settle()
    this.#playing = false
    this.#paused = true
  }

  #moveWindow(jumped: boolean): void {
    const { layout } = this.#swarm
    const start = this.#position
    const end = Math.min(layout.length, start + this.#lookahead.bytes)
    const pieces = layout.piecesOf({ start, end })
    const waiting = !this.#swarm.has(layout.pieceAt(start))
    const window = `${pieces.start} ${pieces.end} ${waiting}`
    if (window === this.#window && !jumped) return
    const opened = this.#window === ''
    this.#window = window
    this.#cursor = { pieces, bytesPerMs: this.#lookahead.bytesPerMs, waiting }
    this.#set(this.#id, this.#cursor, jumped)
    if (opened) this.#openIndex()
  }

  #openIndex(): void {
    const { indexBytes = 0 } = this.plan
    const { layout } = this.#swarm
    if (indexBytes === 0) return
    const pieces = layout.piecesOf({ start: layout.length - indexBytes, end: layout.length })
    const { bytesPerMs } = this.#lookahead
    const window = { pieces, bytesPerMs, waiting: false, behind: this.#id, delayMs: indexDelayMs }
    this.#set(firstIndexId + this.#id, window, false)
  }

  /** Marks the window as not waiting, once the awaited bytes are delivered. */
  #rest(): void {
    const cursor = this.#cursor
    if (cursor?.waiting !== true) return
    this.#cursor = { ...cursor, waiting: false }
    this.#window = `${cursor.pieces.start} ${cursor.pieces.end} false`
    this.#set(this.#id, this.#cursor, false)
  }

  #set(id: number, window: ByteWindow | undefined, jumped: boolean): void {
    this.#swarm.change((now) => this.#swarm.picker.setWindow(id, window, jumped, now))
  }

  /** Reads on while the player's buffer has room. */
  #read(): void {
    const { loop, layout } = this.#swarm
    if (this.ended || this.#paused) return
    const turn = ++this.#turn
    if (this.#position >= layout.length) {
      // The end is reached: the player plays out its buffer.
      this.#closeWindow()
      this.#playing = true
      loop.after(this.#levelNow() / this.plan.bytesPerMs, () => turn === this.#turn && this.#end())
      return
    }
    const spare = Math.max(bufferMs * this.plan.bytesPerMs, startBytes + chunkBytes) - this.#levelNow()
    if (spare < chunkBytes) {
      const waitMs = Math.max(1, (chunkBytes - spare) / this.plan.bytesPerMs)
      loop.after(waitMs, () => turn === this.#turn && this.#read())
      return
    }
    this.#moveWindow(this.#window === '')
    this.#askedAt = loop.now
    const piece = layout.pieceAt(this.#position)
    if (this.#swarm.has(piece)) loop.after(0, () => turn === this.#turn && this.#deliver())
    else this.#waitingFor = piece
  }

  #deliver(): void {
    const { loop, layout } = this.#swarm
    const jump = this.#jump
    if (jump === undefined) return
    const { now } = loop
    const pieceEnd = layout.pieceRange(layout.pieceAt(this.#position)).end
    const bytes = Math.min(chunkBytes, pieceEnd - this.#position)
    this.#rest()
    this.#settle()
    this.#position += bytes
    this.#level += bytes
    this.#lookahead.consumed(bytes, now - this.#askedAt, now)
    if (jump.firstByteAt > now) jump.firstByteAt = now
    const read = this.#position - jump.offset
    if (jump.firstMiBAt > now && (read >= startBytes || this.#position >= layout.length)) {
      jump.firstMiBAt = now
      this.#playing = !this.#paused
    }
    if (this.#stalledAt >= 0) {
      jump.stalledMs += now - this.#stalledAt
      this.#lastStallEnd = now
      this.#stalledAt = -1
    }
    this.#read()
  }

  #levelNow(): number {
    this.#settle()
    return this.#level
  }

  /** Advances playback to now. A stall began where the buffer ran dry. */
  #settle(): void {
    const { now } = this.#swarm.loop
    const played = (now - this.#levelAt) * this.plan.bytesPerMs
    if (this.#playing && this.#jump !== undefined) {
      if (played > this.#level + 1 && this.#stalledAt < 0 && this.#position < this.#swarm.layout.length) {
        this.#stalledAt = this.#levelAt + this.#level / this.plan.bytesPerMs
        // Viewers see stalls within a second of each other as one.
        if (this.#stalledAt - this.#lastStallEnd > 1000) this.#jump.stalls++
      }
      this.#level = Math.max(0, this.#level - played)
    }
    this.#levelAt = now
  }

  #closeJump(): void {
    const { now } = this.#swarm.loop
    const jump = this.#jump
    this.#settle()
    if (jump === undefined) return
    jump.endedAt = now
    if (this.#stalledAt >= 0) jump.stalledMs += now - this.#stalledAt
    this.#stalledAt = -1
  }

  #closeWindow(): void {
    if (this.#window === '') return
    this.#window = ''
    this.#cursor = undefined
    if ((this.plan.indexBytes ?? 0) > 0) this.#set(firstIndexId + this.#id, undefined, false)
    this.#set(this.#id, undefined, false)
  }

  #end(): void {
    if (this.ended) return
    this.#closeJump()
    this.ended = true
    this.#closeWindow()
  }
}
