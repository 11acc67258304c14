import { type ClientRequestArgs, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Socket, TcpNetConnectOpts } from 'node:net'
import { Duplex } from 'node:stream'
import { asError } from '../util/errors.ts'
import { ReplyCleaner } from './reply-cleaner.ts'

/** A connection for one HTTP request. Passes the response through a {@link ReplyCleaner} to Node's parser. */
class LenientConnection extends Duplex {
  readonly #socket: Socket
  readonly #cleaner = new ReplyCleaner()
  #ended = false

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(this.#cleaner.push(chunk)))
    socket.on('end', () => this.#end())
    socket.on('error', (error) => this.destroy(error))
    socket.on('timeout', () => this.emit('timeout'))
    socket.on('close', () => {
      if (!this.#ended) this.destroy()
    })
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  // Socket methods that Node's HTTP client calls.
  setTimeout(timeoutMs: number): this {
    this.#socket.setTimeout(timeoutMs)
    return this
  }

  setNoDelay(noDelay?: boolean): this {
    this.#socket.setNoDelay(noDelay)
    return this
  }

  setKeepAlive(enable?: boolean, initialDelay?: number): this {
    this.#socket.setKeepAlive(enable, initialDelay)
    return this
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(() => done())
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #take(bytes: Buffer): void {
    if (this.#ended) return
    if (bytes.length > 0 && !this.push(bytes)) this.#socket.pause()
    if (this.#cleaner.done) this.#end()
  }

  #end(): void {
    if (this.#ended) return
    if (this.#cleaner.cut) {
      // The parser must learn that the response is incomplete.
      this.destroy()
      return
    }
    this.#ended = true
    const held = this.#cleaner.end()
    if (held.length > 0) this.push(held)
    this.push(null)
  }
}

/** Starts to connect a socket, or waits until a proxy has connected it. */
export type OpenSocket = (settings: TcpNetConnectOpts) => Socket | Promise<Socket>

/** Returns an agent for one request on a connection from `open`. The agent adds the default port and the TLS host name. */
export function lenientAgent(isSecure: boolean, open: OpenSocket): HttpAgent {
  const agent = isSecure ? new HttpsAgent() : new HttpAgent()
  agent.createConnection = (
    options: ClientRequestArgs,
    done: (error: Error | null, socket?: Duplex) => void
  ) => {
    const opened = open(options as TcpNetConnectOpts)
    if (!('then' in opened)) return new LenientConnection(opened)
    opened.then(
      (socket) => done(null, new LenientConnection(socket)),
      (error) => done(asError(error))
    )
    return undefined
  }
  return agent
}
