// Many cheap peers in one process. They serve a pattern from memory, without choking, files and streams.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { seededRandom } from './benchmark.ts'
import { answerCalls } from './helper.ts'
import { Pattern, type PatternTask } from './pattern.ts'

/** How one peer behaves. */
export interface CrowdPeer {
  /** Upload limit; null for none. */
  readonly bytesPerSecond: number | null
  /** The fraction of the pieces that it has; a random subset when below 1. */
  readonly part: number
  /** Whether it never answers the first request for each piece, but all others. */
  readonly holdsOne?: boolean
}

/** The torrent, and the peers that serve it. */
export interface CrowdTask extends PatternTask {
  /** Hexadecimal. */
  readonly infoHash: string
  readonly peers: readonly CrowdPeer[]
  /** Address to listen on; default 127.0.0.1. */
  readonly host?: string
}

const tickMs = 5
/** Bytes that may wait in a socket. */
const highWater = 256 * 1024
const mostRequests = 4096

let sentBytes = 0
let heldRequests = 0
const links = new Set<Link>()
const servers = new Map<string, Server>()
const patterns = new Map<string, Pattern>()
let started = 0

/** One connection of one peer. */
class Link {
  readonly #socket: Socket
  readonly #pattern: Pattern
  readonly #peer: CrowdPeer
  readonly #hello: Buffer
  readonly #held = new Set<number>()
  /** Piece, offset and length of each request, in order. */
  #queue: number[] = []
  #next = 0
  #tokens = 0
  #rest: Buffer = Buffer.alloc(0)
  #greeted = false

  constructor(socket: Socket, pattern: Pattern, peer: CrowdPeer, hello: Buffer) {
    this.#socket = socket
    this.#pattern = pattern
    this.#peer = peer
    this.#hello = hello
    links.add(this)
    socket.on('error', () => {})
    socket.on('close', () => links.delete(this))
    socket.on('drain', () => this.pump())
    socket.on('data', (chunk) => this.#receive(chunk))
  }

  /** Returns whether the near end is this address, or unknown because the connection is closed. */
  isOf(host: string, port: number): boolean {
    const { localAddress, localPort } = this.#socket
    return localPort === undefined || (localAddress === host && localPort === port)
  }

  close(): void {
    this.#socket.destroy()
  }

  refill(elapsedMs: number): void {
    const { bytesPerSecond } = this.#peer
    if (bytesPerSecond === null) return
    const most = Math.max(32_768, bytesPerSecond * 0.05)
    this.#tokens = Math.min(most, this.#tokens + (bytesPerSecond * elapsedMs) / 1000)
    this.pump()
  }

  pump(): void {
    const socket = this.#socket
    const queue = this.#queue
    if (this.#next >= queue.length || socket.destroyed) return
    const limited = this.#peer.bytesPerSecond !== null
    socket.cork()
    while (this.#next < queue.length && socket.writableLength < highWater) {
      if (limited && this.#tokens <= 0) break
      const piece = queue[this.#next++] ?? 0
      const offset = queue[this.#next++] ?? 0
      const length = queue[this.#next++] ?? 0
      const head = Buffer.allocUnsafe(13)
      head.writeUInt32BE(9 + length, 0)
      head[4] = 7
      head.writeUInt32BE(piece, 5)
      head.writeUInt32BE(offset, 9)
      socket.write(head)
      socket.write(this.#pattern.block(piece, offset, length))
      this.#tokens -= length
      sentBytes += length
    }
    socket.uncork()
    if (this.#next < queue.length) return
    this.#queue = []
    this.#next = 0
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    if (!this.#greeted) {
      if (bytes.length < 68) {
        this.#rest = Buffer.from(bytes)
        return
      }
      this.#greeted = true
      this.#socket.write(this.#hello)
      at = 68
    }
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      if (end > at + 4) this.#message(bytes, at + 4)
      at = end
    }
    this.#rest = Buffer.from(bytes.subarray(at))
    this.pump()
  }

  #message(bytes: Buffer, at: number): void {
    const id = bytes[at]
    // Interested: unchoke.
    if (id === 2) this.#socket.write(Buffer.from([0, 0, 0, 1, 1]))
    if (id === 6)
      this.#request(bytes.readUInt32BE(at + 1), bytes.readUInt32BE(at + 5), bytes.readUInt32BE(at + 9))
    if (id === 8) this.#cancel(bytes.readUInt32BE(at + 1), bytes.readUInt32BE(at + 5))
  }

  #request(piece: number, offset: number, length: number): void {
    if (this.#queue.length - this.#next > 3 * mostRequests)
      throw new Error('a peer asks for too much at a time')
    if (this.#peer.holdsOne === true && !this.#held.has(piece)) {
      this.#held.add(piece)
      heldRequests++
    } else this.#queue.push(piece, offset, length)
  }

  #cancel(piece: number, offset: number): void {
    const queue = this.#queue
    for (let n = this.#next; n < queue.length; n += 3) {
      if (queue[n] !== piece || queue[n + 1] !== offset) continue
      queue.splice(n, 3)
      return
    }
  }
}

function helloOf(infoHash: Buffer, bitfield: Buffer, n: number): Buffer {
  const handshake = Buffer.alloc(68)
  handshake[0] = 19
  handshake.write('BitTorrent protocol', 1, 'latin1')
  infoHash.copy(handshake, 28)
  handshake.write(`-CR0001-${String(n).padStart(12, '0')}`, 48, 'latin1')
  const head = Buffer.alloc(5)
  head.writeUInt32BE(1 + bitfield.length, 0)
  head[4] = 5
  return Buffer.concat([handshake, head, bitfield])
}

function bitfieldsOf(pieceCount: number, peers: readonly CrowdPeer[]): Buffer[] {
  const random = seededRandom(1)
  const fields = peers.map(() => Buffer.alloc(Math.ceil(pieceCount / 8)))
  for (let piece = 0; piece < pieceCount; piece++) {
    const having = peers.map(({ part }) => part >= 1 || random() < part)
    // Some peer must have each piece, or the download cannot complete.
    if (!having.includes(true)) having[piece % peers.length] = true
    for (const [n, field] of fields.entries()) {
      if (having[n]) field[piece >> 3] = (field[piece >> 3] ?? 0) | (0x80 >> (piece & 7))
    }
  }
  return fields
}

function patternOf(task: CrowdTask): Pattern {
  const pattern = patterns.get(task.infoHash) ?? new Pattern(task)
  patterns.set(task.infoHash, pattern)
  return pattern
}

let before = performance.now()
setInterval(() => {
  const now = performance.now()
  for (const link of links) link.refill(now - before)
  before = now
}, tickMs)

answerCalls({
  /** Starts peers and returns their ports; can be called repeatedly. */
  async start(task: CrowdTask): Promise<number[]> {
    const { host = '127.0.0.1' } = task
    const pattern = patternOf(task)
    const infoHash = Buffer.from(task.infoHash, 'hex')
    const fields = bitfieldsOf(pattern.pieceCount, task.peers)
    const ports: number[] = []
    for (const [n, peer] of task.peers.entries()) {
      const hello = helloOf(infoHash, fields[n] ?? Buffer.alloc(0), started++)
      const server = createServer({ noDelay: true }, (socket) => new Link(socket, pattern, peer, hello))
      server.listen(0, host)
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      servers.set(`${host}:${port}`, server)
      ports.push(port)
    }
    return ports
  },
  /** Stops the peer at `host:port` and closes its connections. */
  stop(address: string): void {
    const [host = '', port] = address.split(':')
    servers.get(address)?.close()
    servers.delete(address)
    for (const link of links) if (link.isOf(host, Number(port))) link.close()
  },
  /** Bytes of blocks written to sockets so far. */
  sentBytes: (): number => sentBytes,
  /** Requests that will never be answered. */
  heldRequests: (): number => heldRequests
})
