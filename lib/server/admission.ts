import type { IncomingMessage, ServerResponse } from 'node:http'
import { Bodies } from './bodies.ts'
import { Connections } from './connections.ts'
import { hostKey } from './host-key.ts'
import type { ServerLimits } from './limits.ts'
import { Readers } from './readers.ts'
import { Slots, tooMany } from './slots.ts'

/** Decides what a client may have of the server: connections, answers, memory for bodies, readers of files. */
export class Admission {
  readonly limits: ServerLimits
  readonly connections: Connections
  readonly bodies: Bodies
  readonly readers: Readers
  readonly #requests: Slots
  readonly #watchers: Slots

  constructor(limits: ServerLimits) {
    this.limits = limits
    this.connections = new Connections(limits)
    this.bodies = new Bodies(limits.bodyBytes)
    this.readers = new Readers(limits)
    this.#requests = new Slots(limits.requests, limits.requestsOfHost)
    this.#watchers = new Slots(limits.watchers, limits.watchersOfHost)
  }

  /**
   * Admits an answer that takes a while, until it is closed.
   * @throws HttpError 503 when too many are under way.
   */
  admitRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#occupy(this.#requests, request, response, 'requests are under way')
  }

  /** The same for an event stream. @throws HttpError 503 */
  admitWatcher(request: IncomingMessage, response: ServerResponse): void {
    this.#occupy(this.#watchers, request, response, 'pages watch')
  }

  #occupy(slots: Slots, request: IncomingMessage, response: ServerResponse, what: string): void {
    const leave = slots.take(hostKey(request.socket))
    if (leave === undefined) throw tooMany(what)
    response.once('close', leave)
    response.setTimeout(this.limits.stalledMs, () => {
      // A silent client is right to wait while the answer is being made.
      if (response.writableLength > 0 || !request.complete) response.destroy()
    })
  }
}
