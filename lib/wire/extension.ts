import type { ExtendedHandshake } from './extended-handshake.ts'

/** An extension (BEP 10), attached with `wire.use`. An exception from it closes the wire. */
export interface WireExtension {
  /** Its name in the extended handshake, such as `ut_metadata`. */
  readonly name: string
  /** With `false`, our extended handshake switches the extension off. */
  readonly announced?: boolean
  /** Called with each extended handshake of the peer; `remote.extensions` shows whether it supports this extension. */
  onHandshake?(remote: ExtendedHandshake): void
  /** Called with each message of this extension; the payload is borrowed for the call. */
  onMessage(payload: Uint8Array): void
  /** Called once, when the wire closes. */
  onClose?(): void
}

/** The part of a wire that an extension uses. */
export interface ExtensionSender {
  /** Sends a payload (copied) to the extension of that name; returns false if the peer does not support it. */
  extended(name: string, payload: Uint8Array): boolean
}
