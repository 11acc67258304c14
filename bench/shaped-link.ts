import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { PeerSpec } from './play-swarm.ts'

/** Read at a time, so that what a peer has not sent yet stays in the peer, where it can still be cancelled. */
const chunkLength = 4096
/** How far the reading may run ahead of the rate. */
const aheadMs = 20

/** A port on loopback that leads to a peer over a slow, delayed link. All its connections share the silence, each has the rate. */
export class ShapedLink {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #spec: PeerSpec
  readonly #target: number
  #passed = 0

  private constructor(spec: PeerSpec, target: number) {
    this.#spec = spec
    this.#target = target
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near))
  }

  /** Opens a link to a port. */
  static async open(spec: PeerSpec, target: number): Promise<ShapedLink> {
    const link = new ShapedLink(spec, target)
    link.#server.listen(0, '127.0.0.1')
    await once(link.#server, 'listening')
    return link
  }

  /** The port of the near end. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(near: Socket): void {
    const { rate, delayMs, silentAfter = Number.POSITIVE_INFINITY } = this.#spec
    // Reused memory in small parts: the kernel's buffer behind it stays small, because it grows with what is read at once.
    const far: Socket = connect({
      host: '127.0.0.1',
      port: this.#target,
      noDelay: true,
      onread: {
        buffer: Buffer.alloc(chunkLength),
        callback: (count, memory) => {
          const waitMs = down.push(Buffer.from(memory.subarray(0, count)))
          if (waitMs <= 0) return true
          setTimeout(() => far.resume(), waitMs)
          return false
        }
      }
    })
    const down = new DelayLine(near, rate, delayMs, (length) => {
      if (this.#passed >= silentAfter) return false
      this.#passed += length
      return true
    })
    const up = new DelayLine(far, Number.POSITIVE_INFINITY, delayMs, () => true)
    near.on('data', (chunk: Buffer) => up.push(chunk))
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
  }
}

/** One direction: every chunk leaves once its last byte has passed the link, a delay later. */
class DelayLine {
  readonly #out: Socket
  readonly #bytesPerMs: number
  readonly #delayMs: number
  readonly #mayPass: (length: number) => boolean
  readonly #queue: { readonly dueMs: number; readonly chunk: Buffer }[] = []
  #freeMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(out: Socket, bytesPerSecond: number, delayMs: number, mayPass: (length: number) => boolean) {
    this.#out = out
    this.#bytesPerMs = bytesPerSecond / 1000
    this.#delayMs = delayMs
    this.#mayPass = mayPass
  }

  /** Sends a chunk on its way; returns for how many milliseconds nothing more may be read. */
  push(chunk: Buffer): number {
    const now = performance.now()
    this.#freeMs = Math.max(this.#freeMs, now) + chunk.length / this.#bytesPerMs
    this.#queue.push({ dueMs: this.#freeMs + this.#delayMs, chunk })
    this.#arm(now)
    return this.#freeMs - now - aheadMs
  }

  #arm(now: number): void {
    const next = this.#queue[0]
    if (next === undefined || this.#timer !== undefined) return
    this.#timer = setTimeout(() => this.#deliver(), Math.max(0, next.dueMs - now))
  }

  #deliver(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let next = this.#queue[0]; next !== undefined && next.dueMs <= now + 0.5; next = this.#queue[0]) {
      this.#queue.shift()
      if (this.#mayPass(next.chunk.length) && !this.#out.destroyed) this.#out.write(next.chunk)
    }
    this.#arm(now)
  }
}
