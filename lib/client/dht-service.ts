import type { DHT } from '../dht/dht.ts'
import { DhtHandle } from '../dht/dht-handle.ts'
import type { DhtState } from '../dht/dht-options.ts'
import { parseNodes } from '../dht/node-info.ts'
import { DhtSource } from '../discovery/dht-source.ts'
import { DhtTurns } from '../discovery/dht-turns.ts'
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

/** What a {@link DhtService} is made of. */
export interface DhtServiceOptions extends ClientDhtOptions {
  /** The UDP ports of the client, once they are bound. */
  readonly ports: Promise<readonly DatagramPort[]>
  /** The client's `host`: on loopback nobody outside is asked, the public network least of all. */
  readonly host: string | undefined
  /** Where ids and nodes are kept; undefined: nowhere. */
  readonly stateFolder: string | undefined
  /** The port on which peers reach us over TCP, 0 for none. */
  tcpPort(): number
  /** Nodes agree on what our address is, or on another one than before. */
  readonly onAddress: (host: string) => void
  /** Resolves host names. */
  readonly lookup: HostLookup
  readonly onWarning: (warning: Error) => void
  /** Default the system's. */
  readonly timers?: Timers | undefined
}

/** The one DHT of a client: its state is kept from run to run, and its torrents take turns in it. */
export class DhtService implements TorrentDht {
  /** The DHT itself. */
  readonly dht: DHT
  readonly #options: DhtServiceOptions
  readonly #timers: Timers
  readonly #turns: DhtTurns
  readonly #local: boolean
  readonly #port = (): number => this.#options.tcpPort()
  readonly #onAnswer = (): void => this.#learn()
  /** Our addresses as they were told. */
  readonly #addresses: { 4: string | undefined; 6: string | undefined } = { 4: undefined, 6: undefined }
  #isUsed = false
  #saving: Promise<void> = Promise.resolve()
  #cancelSave: () => void
  #closing: Promise<void> | undefined

  /** Starts at once. */
  constructor(options: DhtServiceOptions) {
    const { host, stateFolder, ports, bootstrap, nodes = [], readOnly = 'auto', lookup, onWarning } = options
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#turns = new DhtTurns({ timers: this.#timers })
    this.#local = host !== undefined && isLoopback(host)
    const state = stateFolder === undefined ? undefined : loadDhtState(stateFolder, onWarning)
    this.dht = new DhtHandle({
      ports,
      nodes,
      readOnly,
      // A client of private torrents alone gives no sign of itself.
      lazy: true,
      lookup,
      onWarning,
      timers: this.#timers,
      ...(bootstrap !== undefined ? { bootstrap } : this.#local ? { bootstrap: [] } : {}),
      ...(state === undefined ? {} : { state: state.then((one) => (this.#local ? onlyIds(one) : one)) })
    })
    this.#cancelSave = this.#scheduleSave()
  }

  port(remoteHost: string): number | undefined {
    const family = isIP(canonicalHost(remoteHost)) === 6 ? 6 : 4
    // Whom peers cannot ask they need not ping.
    return this.dht.readOnly[family] ? undefined : this.dht.ports[family]
  }

  addNode(address: PeerAddress, trust: Trust): void {
    // A torrent made elsewhere must not lead a client that is to stay on this machine into the world.
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

  /** A name of a torrent may mean any address, so it is resolved here, and leads to public ones alone. */
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
      turns: this.#turns,
      infoHash,
      port: this.#port,
      isSeed,
      isHungry,
      onAnswer: this.#onAnswer
    })
    this.#use()
    return source
  }

  /** Saves the state and leaves the network; the ports stay open. Idempotent, never rejects. */
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

  /** The DHT is awake: what it finds first is kept, should this run end without a word in its first minutes. */
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
    // Who knows nobody has nothing better than what the last run has left.
    if (stateFolder === undefined || size[4] + size[6] === 0) return
    const state = this.dht.save()
    this.#saving = this.#saving
      .then(() => saveDhtState(stateFolder, state))
      .catch((error) => onWarning(asError(error)))
  }
}

/** On loopback only nodes of this machine are of use. */
function onlyIds(state: DhtState | undefined): DhtState | undefined {
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
