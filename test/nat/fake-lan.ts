// A local network with fake routers, in virtual time: what is sent arrives at once, and nothing is real.

import type { NatNetwork } from '../../lib/nat/nat-network.ts'
import type { DatagramClaim, DatagramPort } from '../../lib/net/datagram-port.ts'
import type { Gateway } from '../../lib/net/gateways.ts'
import type { HttpAskOptions } from '../../lib/net/http-client.ts'
import type { HttpAnswer } from '../../lib/net/http-request.ts'
import type { MulticastOptions } from '../../lib/net/multicast-port.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { VirtualTimers } from '../tracker/virtual-timers.ts'

/** The address of the client in the fake network. */
export const ownHost = '192.168.1.20'

/** The behaviour of a fake router; by default it is silent. */
export interface RouterSettings {
  /** Whether it speaks PCP; a number is the result of every request. */
  readonly pcp?: boolean | number
  /** Whether it speaks NAT-PMP; `polite` also answers PCP, with version 0. */
  readonly natPmp?: boolean | 'polite'
  readonly upnp?: boolean
  readonly externalAddress?: string
  /** Seconds of each lease. */
  readonly lifetime?: number
  /** Added to the external port that PCP and NAT-PMP clients ask for, by transport. */
  readonly shift?: { readonly tcp?: number; readonly udp?: number }
  /** Returns the UPnP fault for a request; undefined grants it. */
  fault?(action: string, args: ReadonlyMap<string, string>): number | undefined
  /** URL in SSDP answers. */
  readonly location?: string
  /** Description instead of the usual one. */
  readonly description?: string
}

/** A fake router and what it has mapped. */
export class FakeRouter {
  settings: RouterSettings
  readonly host: string
  /** Our port by `tcp 6881`, the external one. */
  readonly table: Map<string, string> = new Map()
  /** Requests, such as `pcp tcp 6881`, `pmp address` or `upnp AddPortMapping`. */
  readonly log: string[] = []
  epoch: number = 1000

  constructor(host: string, settings: RouterSettings) {
    this.host = host
    this.settings = settings
  }

  /** Returns the answer to a datagram on port 5351. */
  pmp(message: Uint8Array, from: string): Uint8Array | undefined {
    return message[0] === 2 ? this.#pcp(Buffer.from(message), from) : this.#natPmp(Buffer.from(message), from)
  }

  #pcp(request: Buffer, from: string): Uint8Array | undefined {
    const { pcp = false, natPmp = false, lifetime = 3600 } = this.settings
    if (pcp === false) return natPmp === 'polite' ? Buffer.from([0, 0x81, 0, 1, 0, 0, 0, 0]) : undefined
    const transport = request[36] === 6 ? 'tcp' : 'udp'
    const [port, wanted, asked] = [
      request.readUInt16BE(40),
      request.readUInt16BE(42),
      request.readUInt32BE(4)
    ]
    this.log.push(`pcp ${transport} ${port} for ${asked}`)
    const answer = Buffer.from(request)
    answer[1] = 0x81
    answer[3] = typeof pcp === 'number' ? pcp : 0
    answer.writeUInt32BE(asked === 0 ? 0 : lifetime, 4)
    answer.writeUInt32BE(this.epoch, 8)
    if (answer[3] !== 0) return answer
    const external =
      asked === 0 ? this.#release(transport, `${from}:${port}`) : this.#grant(transport, wanted)
    answer.writeUInt16BE(external, 42)
    answer.set(this.#address(), 56)
    if (asked !== 0) this.table.set(`${transport} ${external}`, `${from}:${port}`)
    return answer
  }

  #natPmp(request: Buffer, from: string): Uint8Array | undefined {
    const { natPmp = false, lifetime = 7200 } = this.settings
    if (natPmp === false) return undefined
    if (request[1] === 0) {
      this.log.push('pmp address')
      return Buffer.from([0, 0x80, 0, 0, 0, 0, 0, 1, ...this.#address()])
    }
    const transport = request[1] === 2 ? 'tcp' : 'udp'
    const [port, wanted, asked] = [request.readUInt16BE(4), request.readUInt16BE(6), request.readUInt32BE(8)]
    this.log.push(`pmp ${transport} ${port} for ${asked}`)
    const answer = Buffer.alloc(16)
    answer[1] = 0x80 | (request[1] ?? 0)
    answer.writeUInt16BE(port, 8)
    const external =
      asked === 0 ? this.#release(transport, `${from}:${port}`) : this.#grant(transport, wanted)
    answer.writeUInt16BE(external, 10)
    answer.writeUInt32BE(asked === 0 ? 0 : lifetime, 12)
    if (asked !== 0) this.table.set(`${transport} ${external}`, `${from}:${port}`)
    return answer
  }

  #grant(transport: 'tcp' | 'udp', wanted: number): number {
    return wanted + (this.table.has(`${transport} ${wanted}`) ? 0 : (this.settings.shift?.[transport] ?? 0))
  }

  #release(transport: string, target: string): number {
    for (const [key, value] of this.table)
      if (key.startsWith(transport) && value === target) this.table.delete(key)
    return 0
  }

  #address(): number[] {
    return (this.settings.externalAddress ?? '85.78.0.1').split('.').map(Number)
  }

  /** Returns the SSDP answer. */
  ssdp(): Uint8Array | undefined {
    if (this.settings.upnp !== true) return undefined
    const location = this.settings.location ?? `http://${this.host}:5000/desc.xml`
    return Buffer.from(`HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: ${location}\r\n\r\n`)
  }

  /** Answers a request over HTTP. */
  http(url: URL, content: string | undefined, from: string): { status: number; body: string } {
    if (content === undefined) {
      this.log.push(`upnp GET ${url.pathname}`)
      return { status: 200, body: this.settings.description ?? description }
    }
    const action = /<u:(\w+) /.exec(content)?.[1] ?? ''
    const args = new Map(
      [...content.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name = '', value = '']) => [name, value])
    )
    this.log.push(`upnp ${action}`)
    const fault = this.settings.fault?.(action, args)
    if (fault !== undefined)
      return {
        status: 500,
        body: `<s:Fault><detail><UPnPError><errorCode>${fault}</errorCode></UPnPError></detail></s:Fault>`
      }
    const key = `${args.get('NewProtocol')?.toLowerCase()} ${args.get('NewExternalPort')}`
    let values = ''
    if (action === 'AddPortMapping') this.table.set(key, `${from}:${args.get('NewInternalPort')}`)
    if (action === 'DeletePortMapping') this.table.delete(key)
    if (action === 'GetExternalIPAddress')
      values = `<NewExternalIPAddress>${this.settings.externalAddress ?? '85.78.0.1'}</NewExternalIPAddress>`
    if (action === 'GetSpecificPortMappingEntry') {
      const [client, port] = this.table.get(key)?.split(':') ?? []
      values = `<NewInternalPort>${port}</NewInternalPort><NewInternalClient>${client}</NewInternalClient>
        <NewPortMappingDescription>piecewise</NewPortMappingDescription>`
    }
    return {
      status: 200,
      body: `<s:Body><u:${action}Response xmlns:u="x">${values}</u:${action}Response></s:Body>`
    }
  }
}

/** A device description with one service. */
export const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
  <deviceList><device><serviceList><service>
  <serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl</controlURL>
  </service></serviceList></device></deviceList></device></root>`

/** The network of a client with some routers. */
export class FakeLan implements NatNetwork {
  readonly timers: VirtualTimers = new VirtualTimers()
  readonly routers: FakeRouter[]
  /** Routers that the system names; by default all. */
  known: readonly string[]
  local: string = ownHost
  /** Number of sockets that are open. */
  openPorts: number = 0
  /** Datagrams sent, as `host:port`. */
  readonly sent: string[] = []
  /** URLs that were asked. */
  readonly asked: string[] = []
  #multicast: Omit<MulticastOptions, 'host'> | undefined

  constructor(...routers: readonly RouterSettings[]) {
    this.routers = routers.map((settings, n) => new FakeRouter(`192.168.1.${n + 1}`, settings))
    this.known = this.routers.map(({ host }) => host)
  }

  readonly http: NatNetwork['http'] = {
    ask: async (url: URL, { address, content, localAddress }: HttpAskOptions): Promise<HttpAnswer> => {
      this.asked.push(url.href)
      if (url.hostname !== address) throw new Error('the URL is not that of the router')
      const router = this.routers.find(({ host }) => host === address)
      if (router === undefined) throw new Error('no such host')
      const { status, body } = router.http(url, content?.text, localAddress)
      const rest = { cut: undefined, scope: 'private', statusText: '', location: undefined } as const
      return { ...rest, status, body: Buffer.from(body, 'latin1') }
    }
  }

  async gateways(): Promise<readonly Gateway[]> {
    const { local } = this
    const through = { name: 'eth0', address: local, prefixLength: 24, internal: false, multicastName: local }
    return this.known.map((host) => ({ host, local, through }))
  }

  async separateUdpPort(local: string): Promise<DatagramPort> {
    const claims = new Set<DatagramClaim>()
    let isOpen = true
    this.openPorts++
    const deliver = (message: Uint8Array | undefined, from: PeerAddress): void => {
      if (message === undefined) return
      queueMicrotask(() => {
        for (const claim of isOpen ? [...claims] : [])
          if (claim.matches(message, from)) return claim.receive(message, from)
      })
    }
    this.deliver = deliver
    return {
      family: 4,
      port: 40_000,
      send: (message, to) => {
        this.sent.push(`${to.host}:${to.port}`)
        for (const router of this.routers) {
          const isMeant = to.host === router.host || to.host.startsWith('239.')
          if (isMeant && to.port === 5351)
            deliver(router.pmp(message, local), { host: router.host, port: 5351 })
          if (isMeant && to.port === 1900) deliver(router.ssdp(), { host: router.host, port: 1900 })
        }
      },
      claim: (claim) => {
        claims.add(claim)
        return () => claims.delete(claim)
      },
      close: async () => {
        if (isOpen) this.openPorts--
        isOpen = false
      }
    }
  }

  /** Sends a datagram to the socket that was opened last. */
  deliver: (message: Uint8Array, from: PeerAddress) => void = () => {}

  async multicast(options: Omit<MulticastOptions, 'host'>): Promise<{ close(): Promise<void> }> {
    this.#multicast = options
    this.openPorts++
    return {
      close: async () => {
        this.openPorts--
        this.#multicast = undefined
      }
    }
  }

  /** Sends a datagram to the group of announcements. */
  announce(message: Uint8Array, host: string): void {
    if (this.#multicast?.accepts(host, []) === true) this.#multicast.onMessage(message, { host, port: 5351 })
  }

  /** Lets time pass, and everything happen that follows at once. */
  async advance(ms: number): Promise<void> {
    await settle()
    let left = ms
    while (this.timers.nextMs <= left) {
      const step = Math.max(0, this.timers.nextMs)
      left -= step
      this.timers.advance(step)
      await settle()
    }
    this.timers.advance(left)
    await settle()
  }
}

/** Waits until all promises that can settle have done so. */
async function settle(): Promise<void> {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve))
}
