import { TorrentError } from '../util/errors.ts'

/** Returns the error ERR_WIRE_PROTOCOL for a peer that breaks the protocol. */
export function protocolError(message: string, details: Record<string, unknown> = {}): TorrentError {
  return new TorrentError('ERR_WIRE_PROTOCOL', message, { details })
}
