import { hostBytes, isIP, type PeerAddress } from '../util/address.ts'
import { more, type ProxyHandshake, type ProxyStep, refused, wireHost } from './proxy-handshake.ts'

const replyLength = 8
const replies: ReadonlyMap<number, ProxyStep> = new Map([
  [91, refused('target', 'rejected or failed')],
  [92, refused('proxy', 'it wants an identd server on this machine')],
  [93, refused('proxy', 'identd names another user')]
])

/** SOCKS4a: SOCKS4 with host names, for IPv4 only. */
export class Socks4Handshake implements ProxyHandshake {
  readonly #target: PeerAddress
  readonly #user: string
  #held: Uint8Array = new Uint8Array()
  /** Always true, because our only message names the target. */
  readonly isAsked: boolean = true

  constructor(target: PeerAddress, user = '') {
    this.#target = target
    this.#user = user
  }

  begin(): ProxyStep {
    const host = wireHost(this.#target.host)
    if (host === undefined) return refused('target', 'its name is malformed')
    if (isIP(host) === 6) return refused('target', 'SOCKS4a carries no IPv6 addresses')
    const { port } = this.#target
    const bytes = hostBytes(host)
    const name = bytes === undefined ? [...Buffer.from(host, 'latin1'), 0] : []
    // An address of 0.0.0.x says that a name follows.
    const address = bytes ?? [0, 0, 0, 1]
    const user = Buffer.from(this.#user)
    return {
      state: 'more',
      send: Uint8Array.of(4, 1, port >> 8, port & 0xff, ...address, ...user, 0, ...name)
    }
  }

  push(chunk: Uint8Array): ProxyStep {
    // Not by spreading: a chunk of some hundred KiB would exceed the stack.
    this.#held = new Uint8Array(Buffer.concat([this.#held, chunk]))
    const [version, code = 0] = this.#held
    if (version !== 0) return refused('proxy', 'it does not speak SOCKS4a')
    if (this.#held.length < replyLength) return more
    if (code === 90) return { state: 'granted', rest: this.#held.slice(replyLength) }
    return replies.get(code) ?? refused('policy', `unknown reply ${code}`)
  }
}
