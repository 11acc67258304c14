import type { DatagramPort } from '../net/datagram-port.ts'
import { canonicalHost, type PeerAddress } from '../util/address.ts'
import { isBytes, randomBytes } from '../util/bytes.ts'
import { isTorrentError, systemCode, TorrentError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import { isUdpReply, transactionOf } from './udp-packets.ts'

/** A request that waits for its answer; it may be sent several times. */
export interface UdpTransaction {
  /** Random number, known only to us and the tracker. */
  id: number
  /** Address of the tracker, its host in canonical form, or its host name if a relay resolves it. */
  readonly to: PeerAddress
  /** Host that the last answer came from; differs from that of `to` behind a relay. */
  from: string | undefined
  outcome: Uint8Array | Error | undefined
  settle: ((outcome: Uint8Array | Error) => void) | undefined
}

/** Matches answers of UDP trackers to requests, by transaction id and sender (BEP 15). */
export class UdpTransactions {
  readonly #timers: Timers
  readonly #open = new Map<number, UdpTransaction>()
  readonly #releases: (() => void)[] = []
  #closed = false

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Receives answers from this port until `close`. */
  listen(port: DatagramPort): void {
    const release = port.claim({
      // Each answer begins with a 4-byte action below 256.
      firstBytes: [0],
      matches: (message) => isUdpReply(message) && this.#open.has(transactionOf(message)),
      receive: (message, from) => {
        const transaction = this.#open.get(transactionOf(message))
        if (transaction === undefined) return
        const host = canonicalHost(from.host)
        // A guessed transaction id from another address is not the tracker's answer. Behind a relay, which resolves
        // names, answers come from any address, and only through the relay.
        const { to } = transaction
        if (port.isRelay !== true && (from.port !== to.port || host !== to.host)) return
        transaction.from = host
        deliver(transaction, message)
      }
    })
    this.#releases.push(release)
  }

  /** Opens a transaction; to be closed with `end`. */
  open(to: PeerAddress): UdpTransaction {
    const transaction: UdpTransaction = {
      id: this.#newId(),
      to,
      from: undefined,
      outcome: undefined,
      settle: undefined
    }
    this.#open.set(transaction.id, transaction)
    return transaction
  }

  /** Gives a transaction a new id, so that answers to earlier packets are ignored. */
  renew(transaction: UdpTransaction): void {
    this.#open.delete(transaction.id)
    transaction.id = this.#newId()
    transaction.outcome = undefined
    this.#open.set(transaction.id, transaction)
  }

  /** Closes a transaction. */
  end(transaction: UdpTransaction): void {
    this.#open.delete(transaction.id)
  }

  /**
   * Sends the packet and waits for the answer; resolves to undefined after the timeout. A late answer still
   * counts in the next call.
   * @throws TorrentError ERR_TRACKER_NETWORK if nothing can be sent there; the signal's reason.
   */
  exchange(
    port: DatagramPort,
    transaction: UdpTransaction,
    packet: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal | undefined
  ): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        cancel()
        signal?.removeEventListener('abort', onAbort)
        transaction.settle = undefined
      }
      const onAbort = (): void => {
        finish()
        reject(signal?.reason)
      }
      const cancel = this.#timers.after(timeoutMs, () => {
        finish()
        resolve(undefined)
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      transaction.settle = (outcome) => {
        finish()
        if (!isBytes(outcome)) reject(outcome)
        else resolve(outcome)
      }
      if (signal?.aborted) return onAbort()
      if (this.#closed) return transaction.settle(udpClosedError())
      if (transaction.outcome !== undefined) return transaction.settle(transaction.outcome)
      port.send(packet, transaction.to, (cause) => {
        // A full send buffer is like a lost packet; without a route, no retry helps.
        if (['ENOBUFS', 'EAGAIN', 'ECONNREFUSED'].includes(systemCode(cause) ?? '')) return
        const reason = isTorrentError(cause) ? cause.message : (systemCode(cause) ?? cause.message)
        const message = `cannot be reached: ${reason}`
        deliver(transaction, new TorrentError('ERR_TRACKER_NETWORK', message, { cause }))
      })
    })
  }

  /** Fails all waiting transactions and unregisters from the ports. */
  close(): void {
    this.#closed = true
    for (const release of this.#releases.splice(0)) release()
    for (const transaction of this.#open.values()) deliver(transaction, udpClosedError())
  }

  #newId(): number {
    for (;;) {
      const id = new DataView(randomBytes(4).buffer).getUint32(0)
      if (!this.#open.has(id)) return id
    }
  }
}

function deliver(transaction: UdpTransaction, outcome: Uint8Array | Error): void {
  if (transaction.settle !== undefined) transaction.settle(outcome)
  else transaction.outcome ??= outcome
}

/** Returns the error of a closed client. */
export function udpClosedError(): TorrentError {
  return new TorrentError('ERR_TRACKER_NETWORK', 'the UDP tracker client is closed')
}
