import type { ExtendedHandshake } from './extended-handshake.ts'
import type { ExtensionSender, WireExtension } from './extension.ts'

/**
 * Whether a peer will not download any more (BEP 21): its extended handshakes say so, and messages of one byte whenever
 * it changes, as libtorrent and its kin send them.
 */
export class UploadOnlyExtension implements WireExtension {
  readonly name = 'upload_only'
  readonly #wire: ExtensionSender
  readonly #onChange: (uploadOnly: boolean) => void
  #uploadOnly = false

  /** An extension for one wire, to be given to its `use`; `onChange` hears when the peer changes its mind. */
  constructor(wire: ExtensionSender, onChange: (uploadOnly: boolean) => void) {
    this.#wire = wire
    this.#onChange = onChange
  }

  /** Whether the peer will not download any more. */
  get uploadOnly(): boolean {
    return this.#uploadOnly
  }

  /** Tells the peer whether we will download any more; false when it does not know the extension. */
  send(uploadOnly: boolean): boolean {
    return this.#wire.extended(this.name, Uint8Array.of(Number(uploadOnly)))
  }

  onHandshake(remote: ExtendedHandshake): void {
    // A later handshake names only what changes (BEP 10).
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
