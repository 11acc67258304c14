import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests of one connection that wait for an answer; who sends more ahead wants no answers. */
const mostWaiting = 100

/** Answers one request of a connection at a time, so that pipelined ones open no streams before their turn. */
export class Turns {
  readonly #lines = new WeakMap<Socket, (() => void)[]>()

  /** Calls `begin` when all earlier requests of the connection are answered, and never when it is closed before. */
  take(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
    const { socket } = request
    const line = this.#lines.get(socket)
    const start = (): void => {
      response.once('close', () => this.#next(socket))
      begin()
    }
    if (line === undefined) {
      this.#lines.set(socket, [])
      start()
    } else if (line.length < mostWaiting) line.push(start)
    else socket.destroy()
  }

  #next(socket: Socket): void {
    const start = socket.destroyed ? undefined : this.#lines.get(socket)?.shift()
    if (start === undefined) this.#lines.delete(socket)
    else start()
  }
}
