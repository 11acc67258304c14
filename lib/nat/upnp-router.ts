import { asError } from '../util/errors.ts'
import {
  externalAddressIn,
  formatSoap,
  type IgdService,
  parseDescription,
  parseSoap,
  type SoapAnswer
} from './igd.ts'
import { limits } from './limits.ts'
import type { NatNetwork } from './nat-network.ts'
import type { Mapping, MappingRequest, Refusal, Router } from './router.ts'

const leaseSeconds = 7_200
/** Milliseconds for removing the mapping that an aborted request may have made. */
const cleanupMs = 1_000
/** UPnP error codes. The first two come from routers that do not understand a lease. */
const faults = { invalidArgs: 402, actionFailed: 501, conflict: 718, permanentOnly: 725 } as const
const reasons: Readonly<Record<number, string>> = {
  401: 'does not know the action',
  402: 'does not accept the arguments',
  501: 'failed',
  606: 'does not allow it',
  718: 'has given the port to another host',
  724: 'maps only equal ports',
  728: 'has no more ports'
}

/** Options of an {@link UpnpRouter}. */
export interface UpnpRouterOptions {
  readonly network: Pick<NatNetwork, 'http'>
  readonly host: string
  readonly local: string
}

/** A router that speaks UPnP IGD (WANIPConnection and WANPPPConnection, versions 1 and 2). */
export class UpnpRouter implements Router {
  readonly protocol = 'upnp'
  readonly host: string
  readonly local: string
  readonly #http: NatNetwork['http']
  readonly #service: IgdService
  #externalAddress: string | undefined
  /** Whether a port was mapped; renewals ask for the external address again. */
  #hasMapped = false
  /** Whether the router refuses leases, so that mappings stay until they are deleted. */
  #isPermanentOnly = false

  private constructor(options: UpnpRouterOptions, service: IgdService) {
    this.host = options.host
    this.local = options.local
    this.#http = options.network.http
    this.#service = service
  }

  /**
   * Reads the description of a device. Resolves to undefined if it has no service for ports. If it has several, one
   * for each kind of uplink, takes the first that is connected.
   */
  static async describe(
    url: URL,
    options: UpnpRouterOptions,
    signal: AbortSignal
  ): Promise<UpnpRouter | undefined> {
    const { network, host: address, local: localAddress } = options
    const { httpMs: timeoutMs, httpBytes: bodyBytes } = limits
    const request = { address, localAddress, timeoutMs, bodyBytes, signal }
    const answer = await network.http.ask(url, request).catch(() => undefined)
    const services = answer?.status === 200 ? parseDescription(answer.body, url) : undefined
    let first: UpnpRouter | undefined
    for (const service of services ?? []) {
      if (signal.aborted) return undefined
      const router = new UpnpRouter(options, service)
      if (!(await router.#findAddress(signal))) continue
      if (router.externalAddress !== undefined) return router
      first ??= router
    }
    return first
  }

  get externalAddress(): string | undefined {
    return this.#externalAddress
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping | Refusal> {
    let { externalPort } = request
    let conflicts = 0
    let isTakenOver = false
    for (;;) {
      const answer = await this.#add({ ...request, externalPort }, signal)
      if (signal.aborted) {
        await this.unmap({ ...request, externalPort }, AbortSignal.timeout(cleanupMs))
        return { refused: 'was not asked any more' }
      }
      if ('refused' in answer) return answer
      const { fault } = answer
      const lifetimeMs = this.#isPermanentOnly ? Number.POSITIVE_INFINITY : leaseSeconds * 1000
      if (fault === undefined) {
        if (this.#hasMapped && request.transport === 'tcp') await this.#findAddress(signal)
        this.#hasMapped = true
        return { externalPort, lifetimeMs }
      }
      const refusesLease =
        fault === faults.permanentOnly || fault === faults.invalidArgs || fault === faults.actionFailed
      if (refusesLease && !this.#isPermanentOnly) this.#isPermanentOnly = true
      else if (
        fault === faults.conflict &&
        !isTakenOver &&
        (await this.#isOurs({ ...request, externalPort }, signal))
      ) {
        // Left behind by an earlier run.
        isTakenOver = true
        await this.unmap({ ...request, externalPort }, signal)
      } else if (fault === faults.conflict && conflicts < limits.conflicts) {
        conflicts++
        externalPort = externalPort === 65_535 ? 1_024 : externalPort + 1
      } else return { refused: `${reasons[fault] ?? 'refuses'} (UPnP error ${fault})` }
    }
  }

  async unmap({ transport, externalPort }: MappingRequest, signal: AbortSignal): Promise<void> {
    await this.#call('DeletePortMapping', keyOf(transport, externalPort), signal)
  }

  close(): void {}

  /** Returns whether the service answered. */
  async #findAddress(signal: AbortSignal): Promise<boolean> {
    const answer = await this.#call('GetExternalIPAddress', {}, signal)
    if ('refused' in answer) return false
    this.#externalAddress = externalAddressIn(answer)
    return true
  }

  #add(
    { transport, port, externalPort }: MappingRequest,
    signal: AbortSignal
  ): Promise<SoapAnswer | Refusal> {
    return this.#call(
      'AddPortMapping',
      {
        ...keyOf(transport, externalPort),
        NewInternalPort: port,
        NewInternalClient: this.local,
        NewEnabled: 1,
        NewPortMappingDescription: 'piecewise',
        NewLeaseDuration: this.#isPermanentOnly ? 0 : leaseSeconds
      },
      signal
    )
  }

  async #isOurs({ transport, port, externalPort }: MappingRequest, signal: AbortSignal): Promise<boolean> {
    const answer = await this.#call('GetSpecificPortMappingEntry', keyOf(transport, externalPort), signal)
    if ('refused' in answer || answer.fault !== undefined) return false
    const { values } = answer
    return (
      values.get('newinternalclient') === this.local &&
      values.get('newinternalport') === String(port) &&
      values.get('newportmappingdescription') === 'piecewise'
    )
  }

  async #call(
    action: string,
    args: Readonly<Record<string, string | number>>,
    signal: AbortSignal
  ): Promise<SoapAnswer | Refusal> {
    const { type, control } = this.#service
    try {
      const answer = await this.#http.ask(control, {
        ...{ address: this.host, localAddress: this.local, signal },
        ...{ bodyBytes: limits.httpBytes, timeoutMs: limits.httpMs },
        content: {
          text: formatSoap(type, action, args),
          headers: { 'Content-Type': 'text/xml; charset="utf-8"', SOAPAction: `"${type}#${action}"` }
        }
      })
      // A fault has status 500.
      return parseSoap(answer.body, action) ?? { refused: `answers ${action} with status ${answer.status}` }
    } catch (thrown) {
      return { refused: `does not answer: ${asError(thrown).message.slice(0, limits.reasonChars)}` }
    }
  }
}

/** Returns the arguments that name a mapping, in the order of the specification. */
function keyOf(transport: 'tcp' | 'udp', externalPort: number): Record<string, string | number> {
  return { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: transport.toUpperCase() }
}
