import type { DatagramPort } from '../net/datagram-port.ts'
import { canonicalHost } from '../util/address.ts'
import { equalBytes, randomBytes } from '../util/bytes.ts'
import { debug } from '../util/debug.ts'
import type { Timers } from '../util/timers.ts'
import {
  formatAddressRequest,
  formatNatPmp,
  type NatPmpAnswer,
  natPmpReason,
  parseNatPmp
} from './nat-pmp.ts'
import { formatPcpMap, isPcpAnnouncement, type PcpAnswer, parsePcp, pcpReason } from './pcp.ts'
import type { Mapping, MappingRequest, NatTransport, Refusal, Router } from './router.ts'

const log = debug('nat')
/** Port of PCP and NAT-PMP on a router. */
export const pmpPort = 5351
/** Wait for the first answer; it doubles with each try, but not while the protocol is unknown. */
const firstTryMs = 250
/** Tries of a router that is known to speak the protocol. */
const tries = 4
/** Tries of PCP, before NAT-PMP is tried as well: some routers ignore what they do not know. */
const firstTries = 2
/** The lease that is asked for. */
const lifetimeSeconds: Readonly<Record<'pcp' | 'nat-pmp', number>> = { pcp: 3_600, 'nat-pmp': 7_200 }
/** NAT-PMP result of a router that does not know PCP (RFC 6887, appendix A). */
const unsupportedVersion = 1
const silent: Refusal = { refused: 'does not answer' }
/** PCP results after which NAT-PMP may succeed: version, opcode, and a mapping that an earlier run left behind. */
const otherwiseResults = new Set([1, 2, 4])

/** Options of a {@link PmpRouter}. */
export interface PmpRouterOptions {
  /** UDP port of our address in the router's network; its owner closes it. */
  readonly port: DatagramPort
  readonly host: string
  readonly local: string
  readonly timers: Timers
}

interface Exchange {
  read(bytes: Uint8Array): void
}

/** A router that speaks PCP (RFC 6887) or NAT-PMP (RFC 6886); the first request finds out which. */
export class PmpRouter implements Router {
  readonly host: string
  readonly local: string
  readonly #port: DatagramPort
  readonly #timers: Timers
  /** A mapping belongs to the one that knows its nonce. */
  readonly #nonces: Readonly<Record<NatTransport, Uint8Array>> = {
    tcp: randomBytes(12),
    udp: randomBytes(12)
  }
  readonly #unclaim: () => void
  /** Undefined until the router has mapped a port, or has said that it does not know PCP. */
  #dialect: 'pcp' | 'nat-pmp' | undefined
  #externalAddress: string | undefined
  readonly #exchanges = new Set<Exchange>()

  constructor({ port, host, local, timers }: PmpRouterOptions) {
    this.host = host
    this.local = local
    this.#port = port
    this.#timers = timers
    this.#unclaim = port.claim({
      matches: (_message, from) => from.port === pmpPort && canonicalHost(from.host) === host,
      receive: (message) => {
        for (const exchange of this.#exchanges) exchange.read(message)
      }
    })
  }

  get protocol(): 'pcp' | 'nat-pmp' {
    return this.#dialect ?? 'pcp'
  }

  get externalAddress(): string | undefined {
    return this.#externalAddress
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Mapping | Refusal> {
    let refusal = silent
    if (this.#dialect !== 'nat-pmp') {
      const answer = await this.#mapByPcp(request, signal)
      if (!('refused' in answer)) return answer
      if (!answer.mayTryNatPmp || signal.aborted) return answer
      refusal = answer
    }
    const answer = await this.#mapByNatPmp(request, signal)
    return answer === silent ? refusal : answer
  }

  async unmap({ transport, port }: MappingRequest, signal: AbortSignal): Promise<void> {
    const { message, isAnswer } = this.#deletion(transport, port)
    await this.#ask(message, (bytes) => (isAnswer(bytes) ? true : undefined), 3, signal)
  }

  close(): void {
    this.#unclaim()
  }

  async #mapByPcp(
    { transport, port, externalPort }: MappingRequest,
    signal: AbortSignal
  ): Promise<Mapping | (Refusal & { readonly mayTryNatPmp: boolean })> {
    const nonce = this.#nonces[transport]
    const message = formatPcpMap({
      ...{ local: this.local, nonce, transport, port, externalPort },
      lifetimeSeconds: lifetimeSeconds.pcp
    })
    const read = (bytes: Uint8Array): PcpAnswer | NatPmpAnswer | undefined => {
      const answer = parsePcp(bytes)
      const isOurs = answer?.opcode === 1 && (answer.map === undefined || equalBytes(answer.map.nonce, nonce))
      if (isOurs) return answer
      const other = parseNatPmp(bytes)
      return other?.result === unsupportedVersion ? other : undefined
    }
    const isKnown = this.#dialect === 'pcp'
    const answer = await this.#ask(message, read, isKnown ? tries : firstTries, signal)
    if (answer === undefined) {
      if (signal.aborted) this.#port.send(this.#deletion(transport, port).message, this.#address)
      return { ...silent, mayTryNatPmp: !isKnown }
    }
    if (!('version' in answer)) {
      this.#dialect = 'nat-pmp'
      return { refused: natPmpReason(answer.result), mayTryNatPmp: true }
    }
    const { result, map } = answer
    if (result !== 0 || map === undefined || map.externalPort === 0 || answer.lifetimeSeconds === 0)
      return { refused: pcpReason(result), mayTryNatPmp: otherwiseResults.has(result) }
    this.#dialect = 'pcp'
    this.#externalAddress = knownAddress(map.externalAddress)
    return { externalPort: map.externalPort, lifetimeMs: answer.lifetimeSeconds * 1000 }
  }

  async #mapByNatPmp(request: MappingRequest, signal: AbortSignal): Promise<Mapping | Refusal> {
    const { transport, port, externalPort } = request
    const isKnown = this.#dialect === 'nat-pmp'
    const read = (kind: NatPmpAnswer['kind']) => (bytes: Uint8Array) => {
      const answer = parseNatPmp(bytes)
      return answer?.kind === kind ? answer : undefined
    }
    const first = await this.#ask(formatAddressRequest(), read('address'), isKnown ? tries : 3, signal)
    if (first === undefined) return silent
    if (first.result !== 0) return { refused: natPmpReason(first.result) }
    this.#externalAddress = knownAddress(first.externalAddress)
    const lease = { lifetimeSeconds: lifetimeSeconds['nat-pmp'] }
    const message = formatNatPmp({ transport, port, externalPort, ...lease })
    const answer = await this.#ask(message, read(transport), tries, signal)
    // A router that answers anything of NAT-PMP is not asked by PCP again.
    this.#dialect = 'nat-pmp'
    if (answer === undefined) {
      if (signal.aborted) this.#port.send(this.#deletion(transport, port).message, this.#address)
      return silent
    }
    const { result, map } = answer
    if (result !== 0) return { refused: natPmpReason(result) }
    if (map === undefined || map.port !== port || map.externalPort === 0 || map.lifetimeSeconds === 0)
      return { refused: 'answers something else' }
    return { externalPort: map.externalPort, lifetimeMs: map.lifetimeSeconds * 1000 }
  }

  #deletion(
    transport: NatTransport,
    port: number
  ): { readonly message: Uint8Array; readonly isAnswer: (bytes: Uint8Array) => boolean } {
    const zero = { transport, port, externalPort: 0, lifetimeSeconds: 0 }
    if (this.#dialect === 'nat-pmp')
      return { message: formatNatPmp(zero), isAnswer: (bytes) => parseNatPmp(bytes)?.kind === transport }
    const nonce = this.#nonces[transport]
    return {
      message: formatPcpMap({ ...zero, local: this.local, nonce }),
      isAnswer: (bytes) => {
        const map = parsePcp(bytes)?.map
        return map !== undefined && equalBytes(map.nonce, nonce)
      }
    }
  }

  get #address(): { host: string; port: number } {
    return { host: this.host, port: pmpPort }
  }

  /** Sends a message until `read` returns an answer; undefined after the last try, and when aborted. */
  #ask<T>(
    message: Uint8Array,
    read: (bytes: Uint8Array) => T | undefined,
    most: number,
    signal: AbortSignal
  ): Promise<T | undefined> {
    if (signal.aborted) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      let cancel = (): void => {}
      const exchange: Exchange = {
        read: (bytes) => {
          const answer = read(bytes)
          if (answer !== undefined) end(answer)
        }
      }
      const onAbort = (): void => end(undefined)
      const end = (answer: T | undefined): void => {
        cancel()
        signal.removeEventListener('abort', onAbort)
        this.#exchanges.delete(exchange)
        resolve(answer)
      }
      const send = (count: number): void => {
        if (count === most) {
          end(undefined)
          return
        }
        if (log.enabled) log('%s: try %d, %d bytes', this.host, count + 1, message.length)
        cancel = this.#timers.after(this.#dialect === undefined ? firstTryMs : firstTryMs * 2 ** count, () =>
          send(count + 1)
        )
        this.#port.send(message, this.#address)
      }
      this.#exchanges.add(exchange)
      signal.addEventListener('abort', onAbort, { once: true })
      send(0)
    })
  }
}

/** Returns whether a datagram tells that the router has restarted, or has a new address. */
export function isAnnouncement(bytes: Uint8Array): boolean {
  const pcp = parsePcp(bytes)
  return pcp === undefined ? parseNatPmp(bytes)?.kind === 'address' : isPcpAnnouncement(pcp)
}

function knownAddress(host: string | undefined): string | undefined {
  return host === '0.0.0.0' || host === '::' ? undefined : host
}
