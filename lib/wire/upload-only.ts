import type { ExtendedHandshake } from './extended-handshake.ts'
import type { ExtensionSender, WireExtension } from './extension.ts'

/**
 * Tracks whether a peer will not download any more (BEP 21). Its extended handshakes say so, and one-byte `upload_only` messages when
 * that changes, as libtorrent sends them.
 */
export class UploadOnlyExtension implements WireExtension {
  readonly name = 'upload_only'
  readonly #wire: ExtensionSender
  readonly #onChange: (uploadOnly: boolean) => void
  #uploadOnly = false

  /** Creates the extension for one wire; attach it with `wire.use`. `onChange` is called when the peer's state changes. */
  constructor(wire: ExtensionSender, onChange: (uploadOnly: boolean) => void) {
    this.#wire = wire
    this.#onChange = onChange
  }

  /** Whether the peer will not download any more. */
  get uploadOnly(): boolean {
    return this.#uploadOnly
  }

  /** Sends our own `upload_only` state; returns false if the peer does not support the extension. */
  send(uploadOnly: boolean): boolean {
    return this.#wire.extended(this.name, Uint8Array.of(Number(uploadOnly)))
  }

  onHandshake(remote: ExtendedHandshake): void {
    // A later handshake contains only changes (BEP 10).
    if (remote.uploadOnly !== undefined) this.#set(remote.uploadOnly)
  }

  onMessage(payload: Uint8Array): void {
    const [value] = payload
    if (value !== undefined) this.#set(value !== 0)
  }

  #set(uploadOnly: boolean): void {
    if (uploadOnly === this.#uploadOnly) return
    this.#uploadOnly = uploadOnly
    this.#onChange(uploadOnly)
  }
}
