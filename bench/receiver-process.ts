// A bare receiver: the minimum that Node must do to download, hash and store a torrent from many honest peers. Requests the next piece that
// a peer has, in order, and verifies nothing.
import { createHash, type Hash } from 'node:crypto'
import { closeSync, openSync, write } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { answerCalls } from './helper.ts'
import type { LeechReport } from './leecher-process.ts'
import { ownPeakRss } from './process-stat.ts'

/** The torrent and its peers. */
export interface ReceiveTask {
  /** Hexadecimal. */
  readonly infoHash: string
  readonly pieceLength: number
  readonly length: number
  readonly file: string
  readonly ports: readonly number[]
}

interface Piece {
  readonly index: number
  readonly memory: Buffer
  readonly hash: Hash
  filled: number
}

const blockLength = 16_384
/** Request queue depth per peer. */
const depth = 64

class Receiver {
  readonly pieceCount: number
  readonly #task: ReceiveTask
  readonly #taken: Uint8Array
  readonly #spare: Buffer[] = []
  readonly #handle: number
  readonly #done: () => void
  #stored = 0

  constructor(task: ReceiveTask, done: () => void) {
    this.#task = task
    this.pieceCount = Math.ceil(task.length / task.pieceLength)
    this.#taken = new Uint8Array(this.pieceCount)
    this.#handle = openSync(task.file, 'w')
    this.#done = done
  }

  sizeOf(index: number): number {
    return Math.min(this.#task.pieceLength, this.#task.length - index * this.#task.pieceLength)
  }

  /** Returns the next piece from `index` on that a bitfield has and that is not requested yet; `pieceCount` for none. */
  take(index: number, bitfield: Uint8Array): number {
    let at = index
    while (at < this.pieceCount) {
      if (this.#taken[at] === 0 && ((bitfield[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0) {
        this.#taken[at] = 1
        return at
      }
      at++
    }
    return at
  }

  begin(index: number): Piece {
    const memory = this.#spare.pop() ?? Buffer.allocUnsafeSlow(this.#task.pieceLength)
    return { index, memory, hash: createHash('sha1'), filled: 0 }
  }

  store({ index, memory, hash, filled }: Piece): void {
    hash.digest()
    write(this.#handle, memory, 0, filled, index * this.#task.pieceLength, (error) => {
      if (error) throw error
      this.#spare.push(memory)
      if (++this.#stored < this.pieceCount) return
      closeSync(this.#handle)
      this.#done()
    })
  }
}

type State = 'handshake' | 'head' | 'skip' | 'bitfield' | 'block'

class Connection {
  readonly socket: Socket
  readonly #receiver: Receiver
  readonly #pieces = new Map<number, Piece>()
  readonly #head = Buffer.alloc(13)
  #state: State = 'handshake'
  #left = 68
  #headLength = 0
  #bitfield = Buffer.alloc(0)
  #piece: Piece | undefined
  #from = 0
  #at = 0
  #asking = -1
  #askOffset = 0
  #outstanding = 0
  #unchoked = false

  constructor(port: number, infoHash: Buffer, memory: Buffer, receiver: Receiver) {
    this.#receiver = receiver
    this.socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: memory,
        callback: (count) => {
          this.#parse(memory, count)
          return true
        }
      }
    })
    const handshake = Buffer.alloc(68)
    handshake[0] = 19
    handshake.write('BitTorrent protocol', 1, 'latin1')
    infoHash.copy(handshake, 28)
    handshake.write('-BR0001-000000000000', 48, 'latin1')
    this.socket.write(handshake)
  }

  #fill(): void {
    const requests: number[] = []
    const receiver = this.#receiver
    while (this.#outstanding < depth) {
      if (this.#asking < 0 || this.#askOffset === receiver.sizeOf(this.#asking)) {
        this.#asking = receiver.take(Math.max(0, this.#asking), this.#bitfield)
        this.#askOffset = 0
        if (this.#asking === receiver.pieceCount) {
          this.#unchoked = false
          break
        }
      }
      const size = Math.min(blockLength, receiver.sizeOf(this.#asking) - this.#askOffset)
      requests.push(this.#asking, this.#askOffset, size)
      this.#askOffset += size
      this.#outstanding++
    }
    if (requests.length === 0) return
    const bytes = Buffer.allocUnsafe((17 * requests.length) / 3)
    for (let n = 0, at = 0; n < requests.length; n += 3, at += 17) {
      bytes.writeUInt32BE(13, at)
      bytes[at + 4] = 6
      bytes.writeUInt32BE(requests[n] ?? 0, at + 5)
      bytes.writeUInt32BE(requests[n + 1] ?? 0, at + 9)
      bytes.writeUInt32BE(requests[n + 2] ?? 0, at + 13)
    }
    this.socket.write(bytes)
  }

  #parse(chunk: Buffer, count: number): void {
    let at = 0
    while (at < count) {
      if (this.#state === 'head') {
        // These peers never send keep-alives, so a message has at least five bytes, and a block thirteen before its data.
        const wanted = this.#headLength >= 5 ? 13 : 5
        while (at < count && this.#headLength < wanted) this.#head[this.#headLength++] = chunk[at++] ?? 0
        if (this.#headLength < wanted) break
        if (this.#headLength === 13 || this.#head[4] !== 7) this.#onHead()
        continue
      }
      const length = Math.min(this.#left, count - at)
      if (this.#state === 'block' || this.#state === 'bitfield') {
        const target = this.#state === 'block' ? this.#piece?.memory : this.#bitfield
        if (target !== undefined) chunk.copy(target, this.#at, at, at + length)
        this.#at += length
      }
      at += length
      this.#left -= length
      if (this.#left === 0) this.#onWhole()
    }
    if (this.#unchoked && this.#outstanding < depth * 0.75) this.#fill()
  }

  #onHead(): void {
    const length = this.#head.readUInt32BE(0)
    const id = this.#head[4]
    if (id === 7) {
      const index = this.#head.readUInt32BE(5)
      this.#from = this.#at = this.#head.readUInt32BE(9)
      this.#left = length - 9
      let piece = this.#pieces.get(index)
      if (piece === undefined) this.#pieces.set(index, (piece = this.#receiver.begin(index)))
      this.#piece = piece
      this.#state = 'block'
      return
    }
    this.#left = length - 1
    this.#state = id === 5 ? 'bitfield' : 'skip'
    if (id === 5) {
      this.#bitfield = Buffer.alloc(this.#left)
      this.#at = 0
    }
    if (id === 1) this.#unchoked = true
    if (this.#left === 0) this.#onWhole()
  }

  #onWhole(): void {
    if (this.#state === 'bitfield') this.socket.write(Buffer.from([0, 0, 0, 1, 2]))
    if (this.#state === 'block') this.#onBlock()
    this.#state = 'head'
    this.#headLength = 0
  }

  #onBlock(): void {
    const piece = this.#piece
    if (piece === undefined) return
    this.#outstanding--
    piece.hash.update(piece.memory.subarray(this.#from, this.#at))
    piece.filled += this.#at - this.#from
    if (piece.filled < this.#receiver.sizeOf(piece.index)) return
    this.#pieces.delete(piece.index)
    this.#receiver.store(piece)
  }
}

answerCalls({
  async download(task: ReceiveTask): Promise<LeechReport> {
    const start = performance.now()
    const before = process.cpuUsage()
    await new Promise<void>((resolve) => {
      const receiver = new Receiver(task, () => {
        for (const { socket } of connections) socket.destroy()
        resolve()
      })
      const memory = Buffer.allocUnsafeSlow(1 << 18)
      const infoHash = Buffer.from(task.infoHash, 'hex')
      const connections = task.ports.map((port) => new Connection(port, infoHash, memory, receiver))
    })
    const { user, system } = process.cpuUsage(before)
    return {
      wallSeconds: (performance.now() - start) / 1000,
      cpuSeconds: (user + system) / 1e6,
      peakRssBytes: ownPeakRss()
    }
  }
})
