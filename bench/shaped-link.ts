import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import type { PeerSpec } from './play-swarm.ts'

/** Bytes read at a time. Small, so that data not yet sent stays in the peer, where it can be cancelled. */
const chunkLength = 4096
/** Milliseconds by which reading may run ahead of the rate. */
const aheadMs = 20

/** A port on loopback that leads to a peer over a slow, delayed link. Each connection has the full rate; the silence applies to all of them. */
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

  /** Closes all connections. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(near: Socket): void {
    const { rate, delayMs, silentAfter = Number.POSITIVE_INFINITY } = this.#spec
    // Reused small reads keep the kernel's receive buffer small, because it grows with the size of reads.
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

/** One direction: each chunk leaves when its last byte has passed the link, plus the delay. */
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

  /** Queues a chunk; returns for how many milliseconds to pause reading. */
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
