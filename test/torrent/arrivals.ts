import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import type { Peer } from '../../lib/swarm/peer.ts'
import { PeerManager, type PeerManagerOptions } from '../../lib/swarm/peer-manager.ts'
import type { ThrottledConnection } from '../../lib/transport/throttled.ts'
import { Wire } from '../../lib/wire/wire.ts'

let lastId = 0

/** The connections of a torrent to which peers of any address connect, without a network. */
export class Arrivals {
  readonly manager: PeerManager
  readonly book: AddressBook
  /** Hosts that were disconnected, in order. */
  readonly gone: string[] = []
  /** Reasons with which connections of `arrive` were closed, in order. */
  readonly reasons: string[] = []
  readonly #t: TestContext
  readonly #infoHash = new Uint8Array(20).fill(1)

  constructor(t: TestContext, options: Partial<PeerManagerOptions> = {}) {
    this.#t = t
    this.book = options.book ?? new AddressBook({ random: Math.random })
    this.manager = new PeerManager({
      infoHashes: { v1: this.#infoHash },
      peerId: new Uint8Array(20),
      book: this.book,
      budget: new ConnectionBudget(),
      own: { priority: () => 0 },
      throttles: {},
      dial: () => Promise.reject(new Error('no peer is dialled')),
      allows: () => true,
      wireOptions: () => ({}),
      onPeer: () => {},
      onUploadOnly: () => {},
      onGone: (peer) => this.gone.push(peer.connection.remote.host),
      onTick: () => {},
      ...options
    })
    t.after(() => this.manager.close())
  }

  /** Connected peers. */
  get here(): Peer[] {
    return [...this.manager.peers.values()].filter(({ wire }) => !wire.destroying)
  }

  /**
   * Connects a peer to us and returns whether it is accepted. The peer sends more than its handshake unless
   * `isMute`.
   */
  async arrive(
    host: string,
    { id = ++lastId, isMute = false }: { id?: number; isMute?: boolean } = {}
  ): Promise<boolean> {
    const [near, far] = [new Wire(), new Wire()]
    near.pipe(far).pipe(near)
    this.#t.after(() => far.destroy())
    const peerId = new Uint8Array(20)
    new DataView(peerId.buffer).setUint32(16, id)
    far.handshake(this.#infoHash, peerId)
    await once(near, 'handshake')
    if (!isMute) {
      const said = once(near, 'interested')
      far.interested()
      await said
    }
    const connection = { remote: { host, port: 1 }, incoming: true } as unknown as ThrottledConnection
    near.once('error', ({ message }) => this.reasons.push(message))
    this.manager.accept({ connection, wire: near, peerId, infoHash: this.#infoHash, latencyMs: undefined })
    return !near.destroying
  }

  /** Connects one peer of each host and returns how many are accepted. */
  async arriveAll(hosts: readonly string[]): Promise<number> {
    let count = 0
    for (const host of hosts) if (await this.arrive(host)) count++
    return count
  }
}
