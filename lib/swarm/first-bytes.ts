import type { Connection, ConnectionHandler, Sniff } from '../net/connection.ts'

/** Callbacks of {@link readFirstBytes}. */
export interface FirstBytesEvents {
  /** The bytes suffice. The connection must be started anew with them, or closed, before this returns. */
  onTake(head: Uint8Array): void
  /** The bytes begin no handshake. The connection must be closed before this returns. */
  onRefuse(): void
  /** The connection has ended before that. */
  onEnd(): void
}

/** Starts a connection and reads until its first bytes can be judged. No byte is lost, and nothing stays in the way of what follows. */
export function readFirstBytes(connection: Connection, sniff: Sniff, events: FirstBytesEvents): void {
  connection.start(new FirstBytes(sniff, events))
}

class FirstBytes implements ConnectionHandler {
  readonly #sniff: Sniff
  readonly #events: FirstBytesEvents
  #head: Uint8Array | undefined

  constructor(sniff: Sniff, events: FirstBytesEvents) {
    this.#sniff = sniff
    this.#events = events
  }

  onReceive(chunk: Uint8Array): boolean {
    const head = this.#head === undefined ? new Uint8Array(chunk) : Buffer.concat([this.#head, chunk])
    this.#head = head
    const verdict = this.#sniff(head)
    if (verdict === 'take') this.#events.onTake(head)
    else if (verdict === 'refuse') this.#events.onRefuse()
    return true
  }

  onDrain(): void {}

  onClose(): void {
    this.#events.onEnd()
  }
}
