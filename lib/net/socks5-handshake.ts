import type { PeerAddress } from '../util/address.ts'
import {
  encodeSocksAddress,
  more,
  type ProxyHandshake,
  type ProxyLogin,
  type ProxyStep,
  refused
} from './proxy-handshake.ts'
import { parseSocksAddress } from './socks-address.ts'

const commands = { connect: 1, associate: 3 } as const
/** Replies (RFC 1928, section 6). */
const replies: ReadonlyMap<number, ProxyStep> = new Map([
  [1, refused('policy', 'general failure')],
  [2, refused('policy', 'its rules do not allow this')],
  [3, refused('target', 'network unreachable')],
  [4, refused('target', 'host unreachable')],
  [5, refused('target', 'connection refused')],
  [6, refused('target', 'the connection timed out')],
  [7, refused('policy', 'it does not support this command')],
  [8, refused('target', 'it does not support this type of address')]
])

/** SOCKS5 (RFC 1928) with optional user name and password (RFC 1929). */
export class Socks5Handshake implements ProxyHandshake {
  readonly #request: Uint8Array | undefined
  readonly #login: ProxyLogin | undefined
  #state: 'method' | 'login' | 'reply' = 'method'
  #held: Uint8Array = new Uint8Array()

  constructor(command: keyof typeof commands, target: PeerAddress, login: ProxyLogin | undefined) {
    const address = encodeSocksAddress(target)
    this.#request = address && Uint8Array.of(5, commands[command], 0, ...address)
    this.#login = login
  }

  get isAsked(): boolean {
    return this.#state === 'reply'
  }

  begin(): ProxyStep {
    if (this.#request === undefined) return refused('target', 'its name is malformed')
    const methods = this.#login === undefined ? [0] : [0, 2]
    return { state: 'more', send: Uint8Array.of(5, methods.length, ...methods) }
  }

  push(chunk: Uint8Array): ProxyStep {
    // Not by spreading: a chunk of some hundred KiB would exceed the stack.
    this.#held = new Uint8Array(Buffer.concat([this.#held, chunk]))
    if (this.#held.length < 2) return more
    if (this.#state === 'reply') return this.#reply()
    const [version, answer = 0xff] = this.#held
    this.#held = this.#held.subarray(2)
    // SOCKS5 proxies only answer our messages, so bytes that come before our next one are an error.
    if (this.#held.length > 0) return refused('proxy', 'it does not speak SOCKS5')
    return this.#state === 'method' ? this.#method(version, answer) : this.#loggedIn(answer)
  }

  #method(version: number | undefined, method: number): ProxyStep {
    if (version !== 5) return refused('proxy', 'it does not speak SOCKS5')
    if (method === 0) return this.#ask()
    if (method !== 2 || this.#login === undefined) {
      return refused(
        'proxy',
        this.#login === undefined ? 'it wants a user name and password' : 'it accepts no password login'
      )
    }
    this.#state = 'login'
    const username = Buffer.from(this.#login.username)
    const password = Buffer.from(this.#login.password)
    return {
      state: 'more',
      send: Uint8Array.of(1, username.length, ...username, password.length, ...password)
    }
  }

  #loggedIn(status: number): ProxyStep {
    return status === 0 ? this.#ask() : refused('proxy', 'wrong user name or password')
  }

  #ask(): ProxyStep {
    this.#state = 'reply'
    return this.#request === undefined
      ? refused('target', 'its name is malformed')
      : { state: 'more', send: this.#request }
  }

  #reply(): ProxyStep {
    const [version, code = 0] = this.#held
    if (version !== 5) return refused('proxy', 'it does not speak SOCKS5')
    if (code !== 0) return replies.get(code) ?? refused('policy', `unknown reply ${code}`)
    if (this.#held.length < 4) return more
    const bound = parseSocksAddress(this.#held, 3)
    if (bound === 'short') return more
    if (bound === 'unknown') return refused('proxy', 'its answer has an unknown type of address')
    const { host, port, length } = bound
    return { state: 'granted', rest: this.#held.slice(3 + length), bound: { host, port } }
  }
}
