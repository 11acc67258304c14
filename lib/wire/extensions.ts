import type { ExtendedHandshake } from './extended-handshake.ts'
import type { WireExtension } from './extension.ts'
import type { ExtendedReceiver } from './peer-messages.ts'
import { argumentError } from './wire-arguments.ts'

/** The extensions attached to a wire (BEP 10). We announce ids from 1 on, in the order of `add`. */
export class Extensions implements ExtendedReceiver {
  readonly #list: WireExtension[] = []

  /**
   * Adds an extension.
   * @throws TorrentError ERR_WIRE_ARGUMENT if it has no name or the name is taken
   */
  add(extension: WireExtension): void {
    const given: unknown = extension
    if (typeof given !== 'object' || given === null || typeof extension.name !== 'string')
      throw argumentError('extension', extension, 'an object with a name and onMessage')
    if (this.#list.some(({ name }) => name === extension.name))
      throw argumentError('extension', extension.name, 'used only once')
    this.#list.push(extension)
  }

  /** Returns the ids for our extended handshake by name; 0 switches an extension off. */
  ids(): Map<string, number> {
    return new Map(this.#list.map(({ name, announced }, n) => [name, announced === false ? 0 : n + 1]))
  }

  /** Returns the name of the extension to which we gave this id. */
  nameOf(id: number): string | undefined {
    return this.#list[id - 1]?.name
  }

  onHandshake(remote: ExtendedHandshake): void {
    for (const extension of this.#list) extension.onHandshake?.(remote)
  }

  onMessage(id: number, payload: Uint8Array): void {
    this.#list[id - 1]?.onMessage(payload)
  }

  /** Calls `onClose` of all extensions. */
  close(): void {
    for (const extension of this.#list) extension.onClose?.()
  }
}
