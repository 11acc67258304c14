import type { ExtendedHandshake } from './extended-handshake.ts'

/** A protocol inside the protocol (BEP 10), attached with `wire.use`. What it throws closes the wire. */
export interface WireExtension {
  /** The name in the extended handshake, such as `ut_metadata`. */
  readonly name: string
  /** False while it is switched off: our extended handshake then says so. */
  readonly announced?: boolean
  /** The peer's extended handshake came (again); `remote.extensions` tells whether it knows this extension. */
  onHandshake?(remote: ExtendedHandshake): void
  /** A message of this extension; the payload is borrowed for the call. */
  onMessage(payload: Uint8Array): void
  /** The wire has closed; called once. */
  onClose?(): void
}

/** The part of a wire that an extension uses. */
export interface ExtensionSender {
  /** Sends a payload (copied) to the extension of that name; false when the peer does not know it. */
  extended(name: string, payload: Uint8Array): boolean
}
