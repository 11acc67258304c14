import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ServerLimits } from './limits.ts'

/** Answers the requests of a connection one at a time, so that pipelined requests do not open streams early. */
export class RequestQueues {
  readonly #limits: Pick<ServerLimits, 'waiting' | 'waitingOfConnection'>
  readonly #onBusy: (socket: Socket, isBusy: boolean) => void
  readonly #queues = new WeakMap<Socket, (() => void)[]>()
  /** Waiting requests of all connections. */
  #waiting = 0

  /** `onBusy` is called when a connection gets its first request, and when all of its requests are answered. */
  constructor(
    limits: Pick<ServerLimits, 'waiting' | 'waitingOfConnection'>,
    onBusy: (socket: Socket, isBusy: boolean) => void
  ) {
    this.#limits = limits
    this.#onBusy = onBusy
  }

  /**
   * Calls `begin` when all earlier requests of the connection are answered; never if it closes first. Closes the connection when
   * too many requests wait, or when a request with a body would wait, because the body would have to be held in memory.
   */
  enqueue(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const { socket } = request
    const queue = this.#queues.get(socket)
    const start = (): void => {
      response.once('close', () => this.#next(socket))
      begin()
    }
    const { waiting, waitingOfConnection } = this.#limits
    if (socket.destroyed) return
    if (queue === undefined) {
      this.#queues.set(socket, [])
      this.#onBusy(socket, true)
      start()
    } else if (queue.length < waitingOfConnection && this.#waiting < waiting && !hasBody(request)) {
      queue.push(start)
      this.#waiting++
    } else socket.destroy()
  }

  #next(socket: Socket): void {
    const queue = this.#queues.get(socket)
    const start = socket.destroyed ? undefined : queue?.shift()
    if (start === undefined) {
      this.#waiting -= queue?.length ?? 0
      this.#queues.delete(socket)
      this.#onBusy(socket, false)
    } else {
      this.#waiting--
      start()
    }
  }
}

/** Returns whether a request has a body. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
