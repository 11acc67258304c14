import { isBytes } from '../util/bytes.ts'
import { asError } from '../util/errors.ts'
import type { Connection } from './transport.ts'

/** What {@link join} needs of a wire. */
export interface WireLike {
  /** Takes a borrowed chunk; false asks to wait for `receivable`. */
  receive(chunk: Uint8Array): boolean
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
 * one closes, so does the other; an error is passed on.
 */
export function join(connection: Connection, wire: WireLike): void {
  let failure: Error | undefined
  wire.on('data', (data) => {
    if (isBytes(data) && !connection.write([data])) wire.pause()
  })
  wire.on('receivable', () => connection.resume())
  wire.on('error', (error) => {
    failure = asError(error)
  })
  wire.on('close', () => connection.close(failure))
  connection.start({
    onReceive: (chunk) => wire.receive(chunk),
    onDrain: () => wire.resume(),
    onClose: (error) => wire.destroy(error)
  })
}
