import type { DHT } from '../dht/dht.ts'
import { DhtHandle } from '../dht/dht-handle.ts'
import type { DhtState } from '../dht/dht-options.ts'
import { parseNodes } from '../dht/node-info.ts'
import { DhtSource } from '../discovery/dht-source.ts'
import { LookupScheduler } from '../discovery/lookup-scheduler.ts'
import { usableAddresses } from '../discovery/remote-addresses.ts'
import type { DatagramPort } from '../net/datagram-port.ts'
import { type HostLookup, resolveHost } from '../net/resolve-host.ts'
import type { TorrentDht, TorrentDhtOptions } from '../swarm/swarm-host.ts'
import { canonicalHost, isAddress, isIP, isLoopback, type PeerAddress } from '../util/address.ts'
import { asError } from '../util/errors.ts'
import { ipScope } from '../util/ip-scope.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import type { Trust } from '../util/trust.ts'
import { loadDhtState, saveDhtState } from './dht-state.ts'
import type { ClientDhtOptions } from './options.ts'

const saveEveryMs = 5 * 60_000

/** Options of a {@link DhtService}. */
export interface DhtServiceOptions extends ClientDhtOptions {
  /** Resolves with the client's UDP ports once they are bound. */
  readonly ports: Promise<readonly DatagramPort[]>
  /** The client's `host`. On a loopback address, only nodes of this machine are queried. */
  readonly host: string | undefined
  /** Folder in which node ids and nodes are saved; undefined saves nothing. */
  readonly stateFolder: string | undefined
  /** Returns the TCP port that is announced for peers; 0 if there is none. */
  tcpPort(): number
  /** Called when nodes agree on our external address for the first time, or on a new one. */
  readonly onAddress: (host: string) => void
  /** Resolves host names of nodes. */
  readonly lookup: HostLookup
  readonly onWarning: (warning: Error) => void
  readonly timers?: Timers | undefined
}

/** The DHT node of a client. Saves its state for the next run and schedules the look-ups of all torrents. */
export class DhtService implements TorrentDht {
  readonly dht: DHT
  readonly #options: DhtServiceOptions
  readonly #timers: Timers
  readonly #scheduler: LookupScheduler
  readonly #local: boolean
  readonly #port = (): number => this.#options.tcpPort()
  readonly #onAnswer = (): void => this.#learn()
  /** The external addresses that were reported to `onAddress`, by family. */
  readonly #addresses: { 4: string | undefined; 6: string | undefined } = { 4: undefined, 6: undefined }
  #isUsed = false
  #saving: Promise<void> = Promise.resolve()
  #cancelSave: () => void
  #closing: Promise<void> | undefined

  /** Loads the saved state at once; the network is not used before a torrent needs it. */
  constructor(options: DhtServiceOptions) {
    const { host, stateFolder, ports, bootstrap, nodes = [], readOnly = 'auto', lookup, onWarning } = options
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#scheduler = new LookupScheduler({ timers: this.#timers })
    this.#local = host !== undefined && isLoopback(host)
    const state = stateFolder === undefined ? undefined : loadDhtState(stateFolder, onWarning)
    this.dht = new DhtHandle({
      ports,
      nodes,
      readOnly,
      // A client with only private torrents sends nothing.
      lazy: true,
      lookup,
      onWarning,
      timers: this.#timers,
      ...(bootstrap !== undefined ? { bootstrap } : this.#local ? { bootstrap: [] } : {}),
      ...(state === undefined
        ? {}
        : { state: state.then((one) => (this.#local ? withoutRemoteNodes(one) : one)) })
    })
    this.#cancelSave = this.#scheduleSave()
  }

  port(remoteHost: string): number | undefined {
    const family = isIP(canonicalHost(remoteHost)) === 6 ? 6 : 4
    // A read-only node answers no pings, so peers are not told its port. Behind a relay the port is 0: not known.
    return this.dht.readOnly[family] ? undefined : this.dht.ports[family] || undefined
  }

  addNode(address: PeerAddress, trust: Trust): void {
    // Nodes named by a torrent must not connect a loopback client to the public network.
    if (this.#closing !== undefined || (this.#local && !isLoopback(address.host))) return
    if (trust === 'remote' && !isAddress(address.host)) {
      void this.#addNamed(address)
      return
    }
    const { host } = this.#options
    if (trust === 'remote' && usableAddresses([address], host).length === 0) return
    this.dht.addNode({ host: canonicalHost(address.host), port: address.port })
    this.#use()
  }

  /** Adds a node with a host name from an untrusted torrent. Only public addresses count: the name may resolve to a local one. */
  async #addNamed({ host, port }: PeerAddress): Promise<void> {
    const found = await resolveHost(host, { lookup: this.#options.lookup }).catch(() => ({}))
    for (const address of Object.values(found)) {
      if (ipScope(address) === 'global') this.addNode({ host: address, port }, 'remote')
    }
  }

  peers(infoHash: Uint8Array, { isSeed, isHungry }: TorrentDhtOptions): AsyncIterable<PeerAddress> {
    const { dht } = this
    const source = new DhtSource({
      dht,
      scheduler: this.#scheduler,
      infoHash,
      port: this.#port,
      isSeed,
      isHungry,
      onAnswer: this.#onAnswer
    })
    this.#use()
    return source
  }

  /** Announces all torrents again, because our port has changed. */
  announceNow(): void {
    this.#scheduler.wakeAll()
  }

  /** Saves the state and closes the node; the ports stay open. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#cancelSave()
    this.#save()
    await this.#saving
    await this.dht.close()
  }

  #learn(): void {
    const { address } = this.dht
    for (const family of [4, 6] as const) {
      const host = address[family]?.host
      if (host === undefined || host === this.#addresses[family]) continue
      this.#addresses[family] = host
      this.#options.onAddress(host)
    }
  }

  /** On first use, saves as soon as the node is ready, in case the process ends before the first periodic save. */
  #use(): void {
    if (this.#isUsed) return
    this.#isUsed = true
    const { dht } = this
    dht
      .connected()
      .then(() => dht.ready)
      .then(() => {
        if (this.#closing === undefined) this.#save()
      })
      .catch(() => {})
  }

  #scheduleSave(): () => void {
    return this.#timers.after(saveEveryMs, () => {
      this.#save()
      this.#cancelSave = this.#scheduleSave()
    })
  }

  #save(): void {
    const { stateFolder, onWarning } = this.#options
    const { size } = this.dht
    // An empty table would overwrite the nodes of the last run.
    if (stateFolder === undefined || size[4] + size[6] === 0) return
    const state = this.dht.save()
    this.#saving = this.#saving
      .then(() => saveDhtState(stateFolder, state))
      .catch((error) => onWarning(asError(error)))
  }
}

/** Drops a saved node list that contains addresses beyond this machine, for a client on loopback. */
function withoutRemoteNodes(state: DhtState | undefined): DhtState | undefined {
  if (state === undefined) return undefined
  const { id, id6, nodes, nodes6 } = state
  const keep = (bytes: Uint8Array | undefined, family: 4 | 6): Uint8Array | undefined =>
    bytes !== undefined && parseNodes(bytes, family).every(({ host }) => isLoopback(host)) ? bytes : undefined
  const [four, six] = [keep(nodes, 4), keep(nodes6, 6)]
  return {
    ...(id === undefined ? {} : { id }),
    ...(id6 === undefined ? {} : { id6 }),
    ...(four === undefined ? {} : { nodes: four }),
    ...(six === undefined ? {} : { nodes6: six })
  }
}
