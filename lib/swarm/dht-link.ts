import type { Discovery } from '../discovery/discovery.ts'
import { parseAddress } from '../util/address.ts'
import type { Peer } from './peer.ts'
import type { TorrentDht, TorrentDhtOptions } from './swarm-host.ts'

/** Nodes taken from one .torrent: more are no help. */
const mostNodes = 32

/** Options of a {@link DhtLink}. */
export interface DhtLinkOptions extends TorrentDhtOptions {
  /** Undefined when the client has none. */
  readonly dht: TorrentDht | undefined
  readonly discovery: Discovery
  /** 20 bytes. */
  readonly infoHash: Uint8Array
}

/** The use that one torrent makes of the DHT of its client; a private torrent (BEP 27) makes none. */
export class DhtLink {
  readonly #options: DhtLinkOptions
  #detach: (() => void) | undefined

  /** Asks nothing yet. */
  constructor(options: DhtLinkOptions) {
    this.#options = options
  }

  /** Whether peers may be told that there is a DHT. */
  get allowed(): boolean {
    const { dht, discovery } = this.#options
    return dht !== undefined && discovery.allows('dht')
  }

  /** Whether the DHT is asked; `off` where it must not be. */
  get state(): 'off' | 'idle' | 'asking' {
    if (!this.allowed) return 'off'
    return this.#detach === undefined ? 'idle' : 'asking'
  }

  /** Looks for peers and announces us, now and from time to time, until `stop`; nothing when it does so already. */
  start(): void {
    const { dht, discovery, infoHash, isSeed, isHungry } = this.#options
    if (dht === undefined || !this.allowed || this.#detach !== undefined) return
    const peers = dht.peers(infoHash, { isSeed, isHungry })
    // The DHT itself has weighed each address against the node that told it; no one node answers for what others told.
    this.#detach = discovery.attach('dht', peers, { scope: 'loopback' })
  }

  /** Ends that at once. */
  stop(): void {
    this.#detach?.()
    this.#detach = undefined
  }

  /** Nodes that the torrent names: ways into the DHT (BEP 5). */
  addNodes(nodes: readonly string[]): void {
    if (!this.allowed) return
    for (const node of nodes.slice(0, mostNodes)) {
      try {
        this.#options.dht?.addNode(parseAddress(node), 'remote')
      } catch {
        // A node that is no address is left out.
      }
    }
  }

  /** Tells a peer where our node is, and hears where its node is (BEP 5); once our handshake is sent. */
  meet({ wire, connection }: Peer): void {
    const { dht } = this.#options
    if (dht === undefined || !this.allowed || !wire.peerDht) return
    const { host } = connection.remote
    const own = dht.port(host)
    if (own !== undefined) wire.port(own)
    // Once: nobody lets us knock at a thousand doors.
    wire.once('port', (port) => {
      if (this.allowed && port !== 0) dht.addNode({ host, port }, 'program')
    })
  }
}
