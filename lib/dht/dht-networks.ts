import { types } from 'node:util'
import type { DatagramPort } from '../net/datagram-port.ts'
import { Network } from '../net/network.ts'
import { formatAddress, isAddress, isIP, type PeerAddress } from '../util/address.ts'
import { randomBytes } from '../util/bytes.ts'
import { abortable, type Deferred, deferred } from '../util/concurrency.ts'
import { TorrentError } from '../util/errors.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { ask, notify } from '../util/user-code.ts'
import { locateNodes, publicBootstrap, resolveNodes } from './bootstrap.ts'
import { DhtNode } from './dht-node.ts'
import { checkPorts, type DhtOptions, type DhtState, isList } from './dht-options.ts'
import { type NodeInfo, parseNodes } from './node-info.ts'
import { bucketSize } from './routing-table.ts'

const tickMs = 10_000
/** Pause between bootstraps while a routing table holds no usable node; doubles each time, up to `most`. */
const rejoinMs = { first: 10_000, most: 15 * 60_000 }

/** Our nodes, one in the network of each address family. Opens, bootstraps, maintains and closes them. */
export class DhtNetworks {
  /** Resolves once the first lookup of our own id is over; see `DhtHandle.ready`. */
  readonly ready: Promise<void>
  readonly #options: DhtOptions
  readonly #timers: Timers
  readonly #closing = deferred<never>()
  readonly #connected: Deferred<void> = deferred()
  readonly #woken: Deferred<void> = deferred()
  readonly #opened: Deferred<void> = deferred()
  #nodes: DhtNode[] = []
  #ports: readonly DatagramPort[] = []
  /** Binds ports, unless they are given, and resolves host names. */
  readonly #network: Network
  #cancelTick: (() => void) | undefined
  #bootstrapping = false
  #warned = false
  #rejoinMs: number = rejoinMs.first
  #rejoinAt = 0
  #closed: Promise<void> | undefined

  /** Creates the nodes from checked options. They start at once unless `lazy` is set. */
  constructor(options: DhtOptions) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    const { ports, state, host, lookup } = options
    const onWarning = (error: Error): void => notify(options.onWarning, error)
    this.#network = new Network({ host, lookup, onWarning })
    if (isList(ports) && !types.isPromise(state)) this.#open(ports, state)
    if (options.lazy !== true) this.wake()
    this.ready = this.#start()
    this.ready.catch(() => {})
    this.#closing.promise.catch(() => {})
    this.#connected.promise.catch(() => {})
  }

  /** Joins the networks unless that has begun; the first use of a lazy DHT calls it. */
  wake(): void {
    this.#woken.resolve()
  }

  /** One node for each address family in use; empty until the ports are open. */
  get nodes(): readonly DhtNode[] {
    return this.#nodes
  }

  /** Whether the `readOnly` option is true, so that no query is ever answered. */
  get readOnly(): boolean {
    return this.#options.readOnly === true
  }

  /** Whether `close` was called. */
  get closed(): boolean {
    return this.#closed !== undefined
  }

  /** Returns our node of an address family. */
  node(family: 4 | 6): DhtNode | undefined {
    return this.#nodes.find((node) => node.family === family)
  }

  /** Returns the UDP port of an address family. */
  port(family: 4 | 6): number | undefined {
    return this.#ports.find((port) => port.family === family)?.port
  }

  /** Resolves once any node has answered us. Rejects with the signal's reason or ERR_DHT_CLOSED. */
  connected(signal: AbortSignal | undefined): Promise<void> {
    this.wake()
    return abortable(this.#connected.promise, signal)
  }

  /** Runs a task for each of our nodes, once `ready` has resolved. */
  async each<T>(task: (node: DhtNode) => Promise<T>, signal: AbortSignal | undefined): Promise<T[]> {
    this.refuseIfClosed()
    signal?.throwIfAborted()
    this.wake()
    await abortable(this.ready, signal)
    return Promise.race([Promise.all(this.#nodes.map(task)), this.#closing.promise])
  }

  /** Pings a node, so that it enters the routing table if it answers. */
  async addNode({ host, port }: PeerAddress): Promise<void> {
    this.wake()
    const hosts = isAddress(host) ? [host] : await ask(() => this.#network.lookup(host))
    await this.#opened.promise
    for (const one of hosts) this.node(isIP(one) === 6 ? 6 : 4)?.addNode({ host: one, port })
  }

  /** Throws if the DHT is closed. @throws TorrentError ERR_DHT_CLOSED. */
  refuseIfClosed(): void {
    if (this.#closed !== undefined) throw closedError()
  }

  /** Ends all lookups and closes the ports that were bound here; idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.reject(closedError())
    this.#connected.reject(closedError())
    this.#cancelTick?.()
    for (const node of this.#nodes) node.close()
    await this.ready.catch(() => {})
    for (const node of this.#nodes) node.close()
    await this.#network.close()
  }

  async #start(): Promise<void> {
    const { ports, state, port = 0 } = this.#options
    if (this.#nodes.length === 0) {
      const [open, restored] = await Promise.all([ports ?? this.#network.bindUdp(port), state])
      this.refuseIfClosed()
      checkPorts(open)
      this.#open(open, restored)
    }
    this.refuseIfClosed()
    await Promise.race([this.#woken.promise, this.#closing.promise])
    this.#scheduleTick()
    await Promise.race([this.#bootstrap(), this.#closing.promise])
  }

  #open(ports: readonly DatagramPort[], state: DhtState | undefined): void {
    const { readOnly = 'auto', random = randomBytes } = this.#options
    const timers = this.#timers
    this.#ports = ports
    this.#opened.resolve()
    this.#nodes = ports.map((port) => {
      const id = this.#options.id ?? (port.family === 4 ? state?.id : state?.id6)
      const other = port.family === 4 ? 6 : 4
      const others = (target: Uint8Array): NodeInfo[] => this.node(other)?.closest(target) ?? []
      const onFirstAnswer = (): void => this.#onFirstAnswer(node)
      const own = id?.length === 20 ? id : undefined
      const node = new DhtNode({ port, timers, random, readOnly, id: own, others, onFirstAnswer })
      const known = port.family === 4 ? state?.nodes : state?.nodes6
      node.restore(parseNodes(known ?? new Uint8Array(), port.family))
      return node
    })
  }

  #onFirstAnswer(node: DhtNode): void {
    this.#connected.resolve()
    // A node named by a peer or a torrent can fill the table as well as a bootstrap node can.
    if (!this.#bootstrapping) void node.fill()
  }

  async #bootstrap(): Promise<void> {
    if (this.#bootstrapping) return
    this.#bootstrapping = true
    try {
      const both = this.#nodes.length > 1
      const fill = (node: DhtNode, seeds: readonly PeerAddress[]): Promise<void> => {
        const other = this.node(node.family === 4 ? 6 : 4)
        const onOther = (found: readonly NodeInfo[]): void => {
          for (const one of found) if (other?.table.hasRoom(one.id)) other.addNode(one)
        }
        return node.fill(undefined, seeds, both ? onOther : undefined)
      }
      const isJoined = ({ table }: DhtNode): boolean => table.goodCount(this.#timers.now()) >= bucketSize
      // Spares the public bootstrap nodes if the nodes of the last run still answer.
      await Promise.all(this.#nodes.filter(({ table }) => table.size > 0).map((node) => fill(node, [])))
      const notJoined = this.#nodes.filter((node) => !isJoined(node))
      if (notJoined.length === 0 || this.closed) return
      const { bootstrap = publicBootstrap, nodes = [] } = this.#options
      const warn = (error: TorrentError): void => {
        // Warns only once, not at each attempt while offline.
        if (!this.#warned) notify(this.#options.onWarning, error)
        this.#warned = true
      }
      const all = [...bootstrap, ...nodes.map(formatAddress)]
      const relayed = this.#nodes.find(({ family, takesNames }) => takesNames && family === 4)
      const seeds =
        relayed === undefined
          ? await resolveNodes(all, this.#network.lookup, warn)
          : await locateNodes(all, (named) => relayed.locate(named), warn)
      await Promise.all(
        notJoined.map(async (node) => {
          const own = seeds.filter(({ host }) => isIP(host) === node.family)
          if (own.length > 0) await fill(node, own)
        })
      )
    } finally {
      this.#bootstrapping = false
    }
  }

  #scheduleTick(): void {
    this.#cancelTick = this.#timers.after(tickMs, () => {
      if (this.#closed !== undefined) return
      this.#scheduleTick()
      for (const node of this.#nodes) node.tick()
      this.#rejoin()
    })
  }

  /** Bootstraps again, at growing intervals, while a routing table holds no usable node. */
  #rejoin(): void {
    if (this.#nodes.every(({ table }) => table.hasUsable)) {
      this.#rejoinMs = rejoinMs.first
      this.#rejoinAt = 0
      return
    }
    const now = this.#timers.now()
    if (now < this.#rejoinAt) return
    this.#rejoinAt = now + this.#rejoinMs
    this.#rejoinMs = Math.min(2 * this.#rejoinMs, rejoinMs.most)
    this.#bootstrap().catch(() => {})
  }
}

function closedError(): TorrentError {
  return new TorrentError('ERR_DHT_CLOSED', 'The DHT is closed')
}
