import type { Connection } from '../net/connection.ts'
import { HandlingAccount } from '../transport/handling-account.ts'
import { isBytes } from '../util/bytes.ts'
import { asError, TorrentError } from '../util/errors.ts'

/** The part of a wire that {@link join} uses. */
export interface WireLike {
  /** Takes a borrowed chunk; false asks to wait for `receivable`. */
  receive(chunk: Uint8Array): boolean
  /** Told how many milliseconds were spent on what came, blocks and uploads apart; returns after how many more may be handled. */
  onHandled: ((ms: number) => number) | undefined
  /** Holds back `data` events. */
  pause(): unknown
  /** Lets `data` events come. */
  resume(): unknown
  destroy(error?: Error | null): void
  on(event: 'data', listener: (data: unknown) => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  on(event: 'receivable', listener: () => void): unknown
  on(event: 'close', listener: () => void): unknown
}

/**
 * Starts a connection and lets a wire talk over it, with back-pressure both ways and without the cost of pipes. When
 * one closes, so does the other; an error is passed on. With `host`, which names the other end's host, the connection is read
 * more slowly, and then closed, when the messages of that host keep us too busy. `head` was read of the connection already.
 */
export function join(
  connection: Connection,
  wire: WireLike,
  { host, head }: { readonly host?: string; readonly head?: Uint8Array | undefined } = {}
): void {
  let failure: Error | undefined
  const waitMs = host === undefined ? 0 : open(connection, wire, host)
  if (waitMs === Number.POSITIVE_INFINITY) {
    wire.destroy(new TorrentError('ERR_WIRE_LIMIT', `the messages of ${host} keep us too busy`))
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

/** Counts what the messages of a host cost. Returns how long it is to wait until it is heard. */
function open(connection: Connection, wire: WireLike, host: string): number {
  const account = new HandlingAccount(host, connection.remote)
  const { waitMs } = account
  if (waitMs === Number.POSITIVE_INFINITY) return waitMs
  if (connection.incoming) account.incoming()
  wire.onHandled = (ms) => account.addTime(ms)
  wire.on('close', () => account.end())
  return waitMs
}
