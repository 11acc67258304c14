import type { Discovery } from '../discovery/discovery.ts'
import { parseAddress } from '../util/address.ts'
import type { Peer } from './peer.ts'
import type { TorrentDht, TorrentDhtOptions } from './swarm-host.ts'

/** Maximum DHT nodes used from one .torrent file; a few are enough to join the DHT. */
const mostNodes = 32

export interface DhtLinkOptions extends TorrentDhtOptions {
  /** Undefined when the client runs no DHT. */
  readonly dht: TorrentDht | undefined
  readonly discovery: Discovery
  /** 20 bytes. */
  readonly infoHash: Uint8Array
}

/** Connects one torrent to the client's DHT. A private torrent (BEP 27) does not use it. */
export class DhtLink {
  readonly #options: DhtLinkOptions
  #detach: (() => void) | undefined

  /** Sends no query before `start`. */
  constructor(options: DhtLinkOptions) {
    this.#options = options
  }

  /** Whether this torrent may use the DHT and announce it to peers. */
  get allowed(): boolean {
    const { dht, discovery } = this.#options
    return dht !== undefined && discovery.allows('dht')
  }

  /** Returns `asking` while the DHT is queried, `idle` while it is not, and `off` if it must not be used. */
  get state(): 'off' | 'idle' | 'asking' {
    if (!this.allowed) return 'off'
    return this.#detach === undefined ? 'idle' : 'asking'
  }

  /** Looks for peers and announces us, repeatedly, until `stop`. Does nothing if it already does. */
  start(): void {
    const { dht, discovery, infoHash, isSeed, isHungry } = this.#options
    if (dht === undefined || !this.allowed || this.#detach !== undefined) return
    const peers = dht.peers(infoHash, { isSeed, isHungry })
    // The DHT scope-checks each address against the node that sent it, so the combined stream needs no stricter check.
    this.#detach = discovery.attach('dht', peers, { scope: 'loopback' })
  }

  /** Stops the look-up and the announces at once. */
  stop(): void {
    this.#detach?.()
    this.#detach = undefined
  }

  /** Adds bootstrap nodes that the torrent names (`host:port`, BEP 5). */
  addNodes(nodes: readonly string[]): void {
    if (!this.allowed) return
    for (const node of nodes.slice(0, mostNodes)) {
      try {
        this.#options.dht?.addNode(parseAddress(node), 'remote')
      } catch {
        // Skip a node that does not parse.
      }
    }
  }

  /** Sends the port of our DHT node to a peer and accepts its port (BEP 5). Call it after our handshake is sent. */
  meet({ wire, connection }: Peer): void {
    const { dht } = this.#options
    if (dht === undefined || !this.allowed || !wire.peerDht) return
    const { host } = connection.remote
    const own = dht.port(host)
    if (own !== undefined) wire.port(own)
    // Only the first message counts, so that a peer cannot make us contact many ports.
    wire.once('port', (port) => {
      if (this.allowed && port !== 0) dht.addNode({ host, port }, 'program')
    })
  }
}
