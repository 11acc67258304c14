import type { PeerAddress } from '../util/address.ts'

/** What takes datagrams from a {@link DatagramPort}: the first claim whose `matches` says yes gets the message. */
export interface DatagramClaim {
  /** The first bytes of all datagrams that the claim may take, so that no other datagram is offered to it; default any. */
  readonly firstBytes?: readonly number[]
  /** Whether this datagram is for the claimant; called with borrowed memory. */
  matches(message: Uint8Array, from: PeerAddress): boolean
  /** Takes the datagram; the memory is the receiver's to keep. */
  receive(message: Uint8Array, from: PeerAddress): void
  /** Called once at the end of each turn of the event loop in which the claim took datagrams, where one answer to all of them can leave. */
  onTurnEnd?(): void
}

/** One bound UDP socket that several protocols share (DHT, UDP trackers, uTP). The owner closes it. */
export interface DatagramPort {
  /** The address family of the socket. */
  readonly family: 4 | 6
  /** The bound UDP port. */
  readonly port: number
  /** Bytes that were sent and that the system has not taken yet. */
  readonly bytesQueued?: number
  /** Sends one datagram to a numeric address. A failure is reported to `onError` and never thrown. */
  send(message: Uint8Array, to: PeerAddress, onError?: (error: Error) => void): void
  /** Registers a claim; the function returned releases it. */
  claim(claim: DatagramClaim): () => void
  /** Closes the socket; idempotent. */
  close(): Promise<void>
}
