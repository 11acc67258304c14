import type { DatagramPort } from '../net/datagram-port.ts'
import { canonicalHost, type PeerAddress } from '../util/address.ts'
import { isBytes, randomBytes } from '../util/bytes.ts'
import { systemCode, TorrentError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import { isUdpReply, transactionOf } from './udp-packets.ts'

/** A request that waits for its answer; it may be sent several times. */
export interface UdpTransaction {
  /** Random, and known to us and the tracker alone. */
  id: number
  /** The tracker, its host in canonical form. */
  readonly to: PeerAddress
  outcome: Uint8Array | Error | undefined
  settle: ((outcome: Uint8Array | Error) => void) | undefined
}

/** Matches the answers of UDP trackers with what was asked, by transaction id and sender (BEP 15). */
export class UdpTransactions {
  readonly #timers: Timers
  readonly #open = new Map<number, UdpTransaction>()
  readonly #releases: (() => void)[] = []
  #closed = false

  /** No transactions, and no port yet. */
  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** Takes the answers that come to this port until `close`. */
  listen(port: DatagramPort): void {
    const release = port.claim({
      // Each answer begins with an action below 256, in 4 bytes.
      firstBytes: [0],
      matches: (message) => isUdpReply(message) && this.#open.has(transactionOf(message)),
      receive: (message, from) => {
        const transaction = this.#open.get(transactionOf(message))
        // Whoever guesses a transaction id from elsewhere is not the tracker.
        if (transaction === undefined || from.port !== transaction.to.port) return
        if (canonicalHost(from.host) === transaction.to.host) deliver(transaction, message)
      }
    })
    this.#releases.push(release)
  }

  /** Begins a transaction; to be ended with `end`. */
  open(to: PeerAddress): UdpTransaction {
    const transaction: UdpTransaction = { id: this.#newId(), to, outcome: undefined, settle: undefined }
    this.#open.set(transaction.id, transaction)
    return transaction
  }

  /** Gives a transaction another id, so that no answer to what was sent before counts. */
  renew(transaction: UdpTransaction): void {
    this.#open.delete(transaction.id)
    transaction.id = this.#newId()
    transaction.outcome = undefined
    this.#open.set(transaction.id, transaction)
  }

  /** Forgets a transaction. */
  end(transaction: UdpTransaction): void {
    this.#open.delete(transaction.id)
  }

  /**
   * Sends and waits for the answer; undefined when the time is over, and then a late answer still counts next time.
   * @throws TorrentError ERR_TRACKER_NETWORK when nothing can be sent there; the signal's reason.
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
        // A full send buffer is a lost packet like any other; without a route no retry helps.
        if (['ENOBUFS', 'EAGAIN', 'ECONNREFUSED'].includes(systemCode(cause) ?? '')) return
        const message = `cannot be sent to: ${systemCode(cause) ?? cause.message}`
        deliver(transaction, new TorrentError('ERR_TRACKER_NETWORK', message, { cause }))
      })
    })
  }

  /** Fails what waits, and leaves the ports. */
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

/** What is thrown when the client was closed. */
export function udpClosedError(): TorrentError {
  return new TorrentError('ERR_TRACKER_NETWORK', 'the UDP tracker client is closed')
}
