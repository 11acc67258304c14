import type { Gateway } from '../net/gateways.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import { ipScope } from '../util/ip-scope.ts'
import { systemTimers, type Timers } from '../util/timers.ts'
import { Announcements } from './announcements.ts'
import { limits } from './limits.ts'
import type { NatNetwork } from './nat-network.ts'
import type { NatStatus } from './nat-status.ts'
import { isRefusal, type MappingRequest } from './router.ts'
import { type FoundRouter, searchRouters } from './router-search.ts'
import { within } from './within.ts'

const log = debug('nat')
/** Longest interval between renewals, so that a router that has restarted without a word is noticed. */
const renewEveryMs = 20 * 60_000
/** Interval at which a change of the network is looked for. */
const pollMs = 60_000
/** The same while there is no network, as when the system has just started. */
const quickPollMs = 5_000
/** Wait after the first search that found no router; doubles up to the longest. */
const firstRetryMs = 60_000
const longestRetryMs = 3_600_000
/** Milliseconds for removing port mappings. */
const goodbyeMs = 900

/** Options of a {@link PortMapper}. */
export interface PortMapperOptions {
  readonly network: NatNetwork
  /** Our port, the same for all transports. */
  readonly port: number
  /** Whether UDP is mapped as well as TCP. */
  readonly udp: boolean
  readonly timers?: Timers | undefined
  /** Called after each change of the status; must not throw. */
  onChange(status: NatStatus): void
}

/**
 * Keeps a port of ours mapped by a router of the local network, as TCP and UDP on the same external port: searches,
 * renews, notices restarts of the router and changes of the network, and removes the mapping when closed.
 */
export class PortMapper {
  readonly #options: PortMapperOptions
  readonly #timers: Timers
  readonly #closed = new AbortController()
  readonly #running: Promise<void>
  #status: NatStatus = { state: 'searching' }
  #gateways: readonly Gateway[] = []
  /** External port of the last mapping, which is asked for again. */
  #externalPort: number
  #announcements: Announcements | undefined
  /** Whether the routers are others than when the search began. */
  #hasMoved = false
  #cancelPoll: () => void = () => {}
  #wake: () => void = () => {}
  #closing: Promise<void> | undefined

  /** Starts at once. */
  constructor(options: PortMapperOptions) {
    this.#options = options
    this.#timers = options.timers ?? systemTimers
    this.#externalPort = options.port
    this.#schedulePoll()
    this.#running = this.#run().catch((thrown) =>
      this.#setStatus({ state: 'failed', reason: asError(thrown).message })
    )
  }

  /** The present state. */
  get status(): NatStatus {
    return this.#status
  }

  /** Removes the port mapping and closes all sockets, in about a second at most. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#closed.abort()
    this.#cancelPoll()
    this.#wake()
    await this.#running
    await this.#announcements?.close()
  }

  async #run(): Promise<void> {
    const { network, port } = this.#options
    const { signal } = this.#closed
    let retryMs = firstRetryMs
    while (!signal.aborted) {
      this.#hasMoved = false
      this.#gateways = await network.gateways()
      if (this.#gateways.length === 0) {
        this.#setStatus({ state: 'failed', reason: 'no private network with a router was found' })
        await this.#sleep(undefined)
        continue
      }
      this.#setStatus({ state: 'searching' })
      this.#announcements ??= this.#listen()
      const request: MappingRequest = { transport: 'tcp', port, externalPort: this.#externalPort }
      const found = await searchRouters(this.#gateways, request, { network, timers: this.#timers, signal })
      if (!('refused' in found)) {
        retryMs = firstRetryMs
        await this.#hold(found)
        continue
      }
      this.#setStatus({ state: 'failed', reason: found.refused })
      await this.#sleep(retryMs)
      retryMs = this.#hasMoved ? firstRetryMs : Math.min(2 * retryMs, longestRetryMs)
    }
  }

  /** Keeps a mapping until the router refuses to renew it, the network changes, or the mapper is closed. */
  async #hold(found: FoundRouter): Promise<void> {
    const { router } = found
    const { port } = this.#options
    const { signal } = this.#closed
    let { mapping } = found
    let hasUdp = false
    while (!signal.aborted && !this.#hasMoved) {
      const { externalPort } = mapping
      this.#externalPort = externalPort
      this.#setMapped(found, externalPort, hasUdp)
      hasUdp = await this.#mapUdp(found, externalPort)
      if (signal.aborted) break
      this.#setMapped(found, externalPort, hasUdp)
      await this.#sleep(Math.max(limits.renewalMs, Math.min(mapping.lifetimeMs / 2, renewEveryMs)))
      if (signal.aborted || this.#hasMoved) break
      const answer = await router.map({ transport: 'tcp', port, externalPort }, signal)
      if (isRefusal(answer)) {
        if (log.enabled) log('%s %s', router.host, answer.refused)
        break
      }
      mapping = answer
    }
    const { externalPort } = mapping
    await within(goodbyeMs, this.#timers, (limit) =>
      Promise.all([
        router.unmap({ transport: 'tcp', port, externalPort }, limit),
        hasUdp && router.unmap({ transport: 'udp', port, externalPort }, limit)
      ])
    )
    await found.close()
  }

  /** Maps UDP on the port that TCP has; returns whether it is mapped. */
  async #mapUdp({ router }: FoundRouter, externalPort: number): Promise<boolean> {
    if (!this.#options.udp) return false
    const request: MappingRequest = { transport: 'udp', port: this.#options.port, externalPort }
    const answer = await router.map(request, this.#closed.signal)
    if (isRefusal(answer)) return false
    if (answer.externalPort === externalPort) return true
    // Peers hear of one port only.
    await within(goodbyeMs, this.#timers, (limit) =>
      router.unmap({ ...request, externalPort: answer.externalPort }, limit)
    )
    return false
  }

  #setMapped({ router }: FoundRouter, externalPort: number, hasUdp: boolean): void {
    const { protocol, host: gateway, externalAddress } = router
    const isDouble = externalAddress !== undefined && ipScope(externalAddress) !== 'global'
    const reason = `the router's own address ${externalAddress} is not public, so it is behind another one`
    this.#setStatus({
      state: isDouble ? 'double-nat' : 'mapped',
      ...{ protocol, gateway, externalPort },
      ...(externalAddress === undefined ? {} : { externalAddress }),
      transports: hasUdp ? ['tcp', 'udp'] : ['tcp'],
      ...(isDouble ? { reason } : {})
    })
  }

  #setStatus(status: NatStatus): void {
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return
    this.#status = status
    if (log.enabled) log('%o', status)
    if (!this.#closed.signal.aborted) this.#options.onChange(status)
  }

  #listen(): Announcements {
    return new Announcements({
      network: this.#options.network,
      timers: this.#timers,
      isRouter: (host) => this.#gateways.some((gateway) => gateway.host === host),
      onAnnounced: () => this.#wake()
    })
  }

  /** Waits for a time, or without end; ends early when the network changes, a router announces itself, or on close. */
  async #sleep(ms: number | undefined): Promise<void> {
    if (this.#closed.signal.aborted || this.#hasMoved) return
    await new Promise<void>((resolve) => {
      const cancel = ms === undefined ? () => {} : this.#timers.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }

  #schedulePoll(): void {
    this.#cancelPoll = this.#timers.after(this.#gateways.length === 0 ? quickPollMs : pollMs, () => {
      // Where the system does not list its interfaces, the next search fails and reports it.
      const ended = (): void => {
        if (!this.#closed.signal.aborted) this.#schedulePoll()
      }
      void this.#look().then(ended, ended)
    })
  }

  async #look(): Promise<void> {
    const gateways = await this.#options.network.gateways()
    if (keyOf(gateways) === keyOf(this.#gateways)) return
    this.#hasMoved = true
    this.#wake()
  }
}

function keyOf(gateways: readonly Gateway[]): string {
  return gateways.map(({ host, local }) => `${host} ${local}`).join()
}
