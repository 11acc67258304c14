import type { PeerAddress } from '../util/address.ts'

/**
 * A protocol's claim on datagrams of a {@link DatagramPort}. The first claim whose `matches` returns true
 * receives a datagram.
 */
export interface DatagramClaim {
  /** First bytes of all datagrams that the claim can match; others are not offered to it. Default any. */
  readonly firstBytes?: readonly number[]
  /** Returns whether this datagram belongs to the claim; `message` is valid only during the call. */
  matches(message: Uint8Array, from: PeerAddress): boolean
  /** Receives the datagram and owns its memory. */
  receive(message: Uint8Array, from: PeerAddress): void
  /**
   * Called once after each turn of the event loop in which the claim received datagrams, so that one reply
   * can answer all of them.
   */
  onTurnEnd?(): void
}

/** One bound UDP socket that several protocols share (DHT, UDP trackers, uTP). Its owner closes it. */
export interface DatagramPort {
  /** Address family of the socket. */
  readonly family: 4 | 6
  /** Bound UDP port; 0 if it is not known, as behind a relay. */
  readonly port: number
  /**
   * Whether datagrams go through a relay, such as a SOCKS5 proxy. `send` then also takes host names, and the sender of
   * an answer may be another address than the one that was asked.
   */
  readonly isRelay?: boolean
  /** Bytes sent that the system has not accepted yet. */
  readonly bytesQueued?: number
  /** Sends one datagram to a numeric address, through a relay also to a host name. Never throws; `onError` receives failures. */
  send(message: Uint8Array, to: PeerAddress, onError?: (error: Error) => void): void
  /** Registers a claim. Returns a function that unregisters it. */
  claim(claim: DatagramClaim): () => void
  /** Closes the socket; idempotent. */
  close(): Promise<void>
}
