import type { Connection } from '../net/connection.ts'
import { HandlingAccount } from '../transport/handling-account.ts'
import { isBytes } from '../util/bytes.ts'
import { asError, TorrentError } from '../util/errors.ts'

/** The part of a wire that {@link join} uses. */
export interface WireLike {
  /** Decodes a borrowed chunk; false asks to wait for `receivable`. */
  receive(chunk: Uint8Array): boolean
  /** Called with the milliseconds of CPU time to charge to the host; returns the milliseconds to wait before reading on. */
  onHandled: ((ms: number) => number) | undefined
  /** Stops `data` events. */
  pause(): unknown
  /** Resumes `data` events. */
  resume(): unknown
  destroy(error?: Error | null): void
  on(event: 'data', listener: (data: unknown) => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'receivable', listener: () => void): unknown
  on(event: 'close', listener: () => void): unknown
}

/**
 * Starts a connection and joins a wire to it, with back-pressure both ways and without the cost of pipes. When one closes, so does the
 * other, with the same error. With `host`, the key of the remote host, the CPU time of its messages is limited: above the limit the
 * connection is read more slowly, and finally closed. `head` holds bytes that were already read from the connection.
 */
export function join(
  connection: Connection,
  wire: WireLike,
  { host, head }: { readonly host?: string; readonly head?: Uint8Array | undefined } = {}
): void {
  let failure: Error | undefined
  const waitMs = host === undefined ? 0 : open(connection, wire, host)
  if (waitMs === Number.POSITIVE_INFINITY) {
    wire.destroy(
      new TorrentError('ERR_WIRE_LIMIT', `handling the messages of ${host} takes too much CPU time`)
    )
    connection.close()
    return
  }
  wire.on('data', (data) => {
    if (isBytes(data) && !connection.write([data])) wire.pause()
  })
  wire.on('receivable', () => connection.resume())
  wire.on('error', (error) => {
    failure = asError(error)
  })
  wire.on('close', () => connection.close(failure))
  if (waitMs > 0) {
    connection.pause()
    const timer = setTimeout(() => connection.resume(), waitMs)
    wire.on('close', () => clearTimeout(timer))
  }
  connection.start(
    {
      onReceive: (chunk) => wire.receive(chunk),
      onDrain: () => wire.resume(),
      onClose: (error) => wire.destroy(error)
    },
    head
  )
}

/** Opens the host's CPU account for a connection. Returns the milliseconds to wait before reading; `Infinity` to refuse. */
function open(connection: Connection, wire: WireLike, host: string): number {
  const account = new HandlingAccount(host, connection.remote)
  const { waitMs } = account
  if (waitMs === Number.POSITIVE_INFINITY) return waitMs
  if (connection.incoming) account.incoming()
  wire.onHandled = (ms) => account.addTime(ms)
  wire.on('close', () => account.end())
  return waitMs
}
