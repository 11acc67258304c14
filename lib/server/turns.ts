import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ServerLimits } from './limits.ts'

/** Answers one request of a connection at a time, so that pipelined ones open no streams before their turn. */
export class Turns {
  readonly #limits: Pick<ServerLimits, 'waiting' | 'waitingOfConnection'>
  readonly #onBusy: (socket: Socket, isBusy: boolean) => void
  readonly #lines = new WeakMap<Socket, (() => void)[]>()
  /** Requests of all connections that wait. */
  #waiting = 0

  /** `onBusy` hears when a connection begins to be answered, and when all its requests are. */
  constructor(
    limits: Pick<ServerLimits, 'waiting' | 'waitingOfConnection'>,
    onBusy: (socket: Socket, isBusy: boolean) => void
  ) {
    this.#limits = limits
    this.#onBusy = onBusy
  }

  /**
   * Calls `begin` when all earlier requests of the connection are answered, and never when it is closed before. Closes a connection
   * with too many that wait, or with one that has a body: its bytes would be kept until its turn.
   */
  take(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const { socket } = request
    const line = this.#lines.get(socket)
    const start = (): void => {
      response.once('close', () => this.#next(socket))
      begin()
    }
    const { waiting, waitingOfConnection } = this.#limits
    if (socket.destroyed) return
    if (line === undefined) {
      this.#lines.set(socket, [])
      this.#onBusy(socket, true)
      start()
    } else if (line.length < waitingOfConnection && this.#waiting < waiting && !hasBody(request)) {
      line.push(start)
      this.#waiting++
    } else socket.destroy()
  }

  #next(socket: Socket): void {
    const line = this.#lines.get(socket)
    const start = socket.destroyed ? undefined : line?.shift()
    if (start === undefined) {
      this.#waiting -= line?.length ?? 0
      this.#lines.delete(socket)
      this.#onBusy(socket, false)
    } else {
      this.#waiting--
      start()
    }
  }
}

/** Whether a request has a body, be it empty. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
