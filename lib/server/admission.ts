import type { IncomingMessage, ServerResponse } from 'node:http'
import { Bodies } from './bodies.ts'
import { Connections } from './connections.ts'
import { hostKey } from './host-key.ts'
import type { ServerLimits } from './limits.ts'
import { Readers } from './readers.ts'
import { Slots, tooMany } from './slots.ts'

/** Enforces the limits of a server: connections, responses, memory for bodies, file readers. */
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
   * Counts a response until it is closed.
   * @throws HttpError 503 when too many are open.
   */
  admitRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#occupy(this.#requests, request, response, 'requests are under way')
  }

  /** Counts an event stream until it is closed. @throws HttpError 503 when too many are open. */
  admitWatcher(request: IncomingMessage, response: ServerResponse): void {
    this.#occupy(this.#watchers, request, response, 'event streams are open')
  }

  #occupy(slots: Slots, request: IncomingMessage, response: ServerResponse, what: string): void {
    const leave = slots.take(hostKey(request.socket))
    if (leave === undefined) throw tooMany(what)
    response.once('close', leave)
    response.setTimeout(this.limits.stalledMs, () => {
      // The client may be silent while the server still prepares the response.
      if (response.writableLength > 0 || !request.complete) response.destroy()
    })
  }
}
