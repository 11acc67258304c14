import { ConnectHandshake } from '../../../lib/net/http-connect.ts'
import { limits } from '../../../lib/net/limits.ts'
import type { ProxyHandshake, ProxyStep } from '../../../lib/net/proxy-handshake.ts'
import { parseSocksAddress } from '../../../lib/net/socks-address.ts'
import { encodeSocksHeader, parseSocksDatagram } from '../../../lib/net/socks-datagram.ts'
import { Socks4Handshake } from '../../../lib/net/socks4-handshake.ts'
import { Socks5Handshake } from '../../../lib/net/socks5-handshake.ts'
import { isIP } from '../../../lib/util/address.ts'
import type { Check, Target } from '../target.ts'

const login = { username: 'me', password: 'secret' }
const to = { host: '198.51.100.7', port: 6881 }
const handshakes: readonly (() => ProxyHandshake)[] = [
  () => new Socks5Handshake('connect', to, undefined),
  () => new Socks5Handshake('associate', to, login),
  () => new Socks4Handshake(to, 'me'),
  () => new ConnectHandshake(to, login)
]

/** Feeds the input in chunks, and returns the last step and the number of bytes that were taken. */
function talk(handshake: ProxyHandshake, input: Uint8Array, lengthOf: () => number, check: Check): ProxyStep {
  let step = handshake.begin()
  let messages = 0
  for (let at = 0; at < input.length && step.state === 'more'; ) {
    const end = at + lengthOf()
    const chunk = input.slice(at, end)
    step = check.turn(() => handshake.push(chunk))
    // The chunk is only borrowed.
    chunk.fill(0xee)
    if (step.state === 'more' && step.send !== undefined) messages++
    at = end
  }
  check.that(messages <= 2, 'more messages than the dialogue has')
  if (step.state === 'granted') check.that(step.rest.length <= input.length, 'more bytes than were sent')
  if (step.state === 'refused') {
    check.that(step.reason.length < 100, 'a reason is long')
    check.that(!step.reason.includes('secret'), 'a reason has the password')
  }
  return step
}

/** Answers of proxies and datagrams of their relays. */
export const proxy: Target = {
  name: 'proxy',
  grammar: 'bytes',
  corpus: ['proxy'],
  maxBytes: 2 * limits.proxyHeadBytes,
  seeds: () => [
    Uint8Array.of(5, 0, 5, 0, 0, 1, 127, 0, 0, 1, 0x1a, 0xe1, 0x13),
    Uint8Array.of(5, 2, 1, 0, 5, 0, 0, 3, 2, 0x61, 0x62, 0, 80),
    Uint8Array.of(0, 90, 0, 0, 0, 0, 0, 0),
    Uint8Array.of(...(encodeSocksHeader({ host: '2001:db8::1', port: 1 }) ?? []), 1, 2, 3),
    Buffer.from('HTTP/1.1 200 Connection established\r\nA: b\r\n\r\nrest')
  ],
  words: ['HTTP/1.1 407 ', '\r\n\r\n'],
  run(input, check) {
    const outcomes = handshakes.map((open) => {
      const step = talk(open(), input, () => 1 + check.random.below(64), check)
      return step.state === 'refused' ? step.reason : step.state
    })
    const datagram = check.turn(() => parseSocksDatagram(input))
    if (datagram !== undefined) {
      const { from, message } = datagram
      check.that(message.length < input.length, 'a message is as long as its datagram')
      check.that(from.port >= 0 && from.port <= 65535, 'a port is out of bounds')
      if (isIP(from.host) === 4)
        check.equal(encodeSocksHeader(from)?.length, 10, 'a header of IPv4 is not 10 bytes')
    }
    const address = check.turn(() => parseSocksAddress(input, 0))
    if (typeof address === 'object')
      check.that(address.length <= input.length, 'an address is longer than its bytes')
    return [outcomes, datagram?.from.host.length, typeof address === 'object' ? address.length : address]
  }
}
