import type { Connection, ConnectionHandler, Sniff } from '../net/connection.ts'

/** Callbacks of {@link readFirstBytes}. */
export interface FirstBytesEvents {
  /** The bytes are accepted. Before this returns, the connection must be restarted with `head`, or closed. */
  onTake(head: Uint8Array): void
  /** The bytes are not the start of a handshake. The connection must be closed before this returns. */
  onRefuse(): void
  /** The connection closed before a verdict. */
  onEnd(): void
}

/** Starts a connection and reads until `sniff` accepts or refuses its first bytes. No byte is lost: `onTake` gets them all. */
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
