import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectHandshake } from '../../lib/net/http-connect.ts'
import type { ProxyHandshake, ProxyStep } from '../../lib/net/proxy-handshake.ts'
import { encodeSocksHeader, parseSocksDatagram } from '../../lib/net/socks-datagram.ts'
import { Socks4Handshake } from '../../lib/net/socks4-handshake.ts'
import { Socks5Handshake } from '../../lib/net/socks5-handshake.ts'
import { toHex } from '../../lib/util/bytes.ts'

const login = { username: 'me', password: 'pw' }
const ip = { host: '198.51.100.7', port: 6881 }

/** Runs a dialogue: returns what we send as hex, and the last step. */
function talk(
  handshake: ProxyHandshake,
  answers: readonly (string | Uint8Array)[],
  inBytes = false
): { sent: string[]; last: ProxyStep } {
  let last = handshake.begin()
  const sent: string[] = []
  const note = (): void => {
    if (last.state === 'more' && last.send !== undefined) sent.push(toHex(last.send))
  }
  note()
  for (const answer of answers) {
    const bytes = typeof answer === 'string' ? Buffer.from(answer.replaceAll(' ', ''), 'hex') : answer
    const chunks = inBytes ? [...bytes].map((byte) => Uint8Array.of(byte)) : [bytes]
    for (const chunk of chunks) {
      if (last.state !== 'more') break
      last = handshake.push(chunk)
      note()
    }
  }
  return { sent, last }
}

const granted = '05 00 00 01 7f000001 1ae1'

for (const inBytes of [false, true]) {
  const how = inBytes ? 'byte by byte' : 'at once'
  test(`SOCKS5 connects to addresses and names, ${how}`, () => {
    const v4 = talk(new Socks5Handshake('connect', ip, undefined), ['05 00', granted], inBytes)
    assert.deepEqual(v4.sent, ['050100', '05010001c63364071ae1'])
    assert.deepEqual(v4.last, {
      state: 'granted',
      rest: new Uint8Array(),
      bound: { host: '127.0.0.1', port: 6881 }
    })
    const v6 = { host: '2001:db8::1', port: 1 }
    const six = talk(new Socks5Handshake('connect', v6, login), ['05 02', '01 00', granted], inBytes)
    assert.deepEqual(six.sent, ['05020002', '01026d65027077', '0501000420010db80000000000000000000000010001'])
    assert.equal(six.last.state, 'granted')
    const name = talk(
      new Socks5Handshake('connect', { host: 'ex.org', port: 80 }, login),
      ['05 00', '05 00 00 03 03 616263 0050'],
      inBytes
    )
    assert.deepEqual(name.sent, ['05020002', '050100030665782e6f72670050'])
    assert.deepEqual(name.last.state === 'granted' && name.last.bound, { host: 'abc', port: 80 })
  })
}

test('a target that sends much at once is read whole', () => {
  const bytes = '13'.repeat(400_000)
  for (const [handshake, answers] of [
    [new Socks5Handshake('connect', ip, undefined), ['0500', `${granted} ${bytes}`]],
    [new Socks4Handshake(ip), [`005a 0000 00000000 ${bytes}`]]
  ] as const) {
    const { last } = talk(handshake, answers)
    assert.equal(last.state === 'granted' && last.rest.length, 400_000)
  }
})

test('bytes behind the answer belong to the target', () => {
  const socks = talk(new Socks5Handshake('connect', ip, undefined), ['0500', `${granted} 13 42`]).last
  assert.deepEqual(socks.state === 'granted' && socks.rest, Uint8Array.of(0x13, 0x42))
  const socks4 = talk(new Socks4Handshake(ip), ['005a 0000 00000000 13']).last
  assert.deepEqual(socks4.state === 'granted' && socks4.rest, Uint8Array.of(0x13))
  const http = talk(new ConnectHandshake(ip, undefined), [
    Buffer.from('HTTP/1.0 200 OK\r\nA: b\r\n\r\nxy')
  ]).last
  assert.deepEqual(http.state === 'granted' && http.rest, new Uint8Array(Buffer.from('xy')))
})

const socks5Refusals: readonly (readonly [readonly string[], string, RegExp])[] = [
  [['05 ff'], 'proxy', /accepts no password login/],
  [['05 02', '01 01'], 'proxy', /wrong user name or password/],
  [['05 01'], 'proxy', /accepts no password/],
  [['48 54'], 'proxy', /does not speak SOCKS5/],
  [['05 00', '05 01'], 'policy', /general failure/],
  [['05 00', '05 02 00 01 00000000 0000'], 'policy', /rules/],
  [['05 00', '05 03 00 01 00000000 0000'], 'target', /network unreachable/],
  [['05 00', '05 04'], 'target', /host unreachable/],
  [['05 00', '05 05'], 'target', /refused/],
  [['05 00', '05 07'], 'policy', /does not support this command/],
  [['05 00', '05 63'], 'policy', /unknown reply 99/],
  [['05 00', '05 00 00 09 00'], 'proxy', /unknown type of address/],
  [['05 00', '04 00 00 01'], 'proxy', /does not speak SOCKS5/]
]

for (const [answers, by, reason] of socks5Refusals) {
  test(`SOCKS5 answer ${answers.join(', ')} is a refusal by the ${by}`, () => {
    const { last } = talk(new Socks5Handshake('connect', ip, login), answers)
    assert.ok(last.state === 'refused' && reason.test(last.reason), JSON.stringify(last))
    assert.equal(last.by, by)
  })
}

test('a proxy that wants a login which is not given is refused', () => {
  const { last } = talk(new Socks5Handshake('connect', ip, undefined), ['05 ff'])
  assert.ok(last.state === 'refused' && /wants a user name and password/.test(last.reason))
})

test('SOCKS4a sends addresses, and names unresolved', () => {
  assert.deepEqual(talk(new Socks4Handshake(ip, 'me'), []).sent, ['04011ae1c63364076d6500'])
  assert.deepEqual(talk(new Socks4Handshake({ host: 'ex.org', port: 80 }), []).sent, [
    '0401005000000001' + '00' + '65782e6f726700'
  ])
  const six = talk(new Socks4Handshake({ host: '2001:db8::1', port: 80 }), []).last
  assert.deepEqual(six.state === 'refused' && six.by, 'target')
  const rejected = talk(new Socks4Handshake(ip), ['005b 0000 00000000']).last
  assert.deepEqual(rejected.state === 'refused' && rejected.by, 'target')
  const ident = talk(new Socks4Handshake(ip), ['005c 0000 00000000']).last
  assert.deepEqual(ident.state === 'refused' && ident.by, 'proxy')
})

test('HTTP CONNECT names the target and the credentials', () => {
  const [sent = ''] = talk(new ConnectHandshake({ host: '2001:db8::1', port: 80 }, login), []).sent
  assert.equal(
    Buffer.from(sent, 'hex').toString(),
    'CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n'
  )
})

const httpRefusals: readonly (readonly [string, string])[] = [
  ['HTTP/1.1 407 Who\r\n\r\n', 'proxy'],
  ['HTTP/1.1 403 No\r\n\r\n', 'policy'],
  ['HTTP/1.0 500 Unable to connect\r\n\r\n', 'target'],
  ['HTTP/1.1 503 Unavailable\n\n', 'target'],
  ['HTTP/1.1 101 Switching\r\n\r\n', 'policy'],
  ['SSH-2.0-x', 'proxy'],
  [`HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(4000)}`, 'proxy']
]

for (const [answer, by] of httpRefusals) {
  test(`HTTP answer ${JSON.stringify(answer.slice(0, 30))} is a refusal by the ${by}`, () => {
    const { last } = talk(new ConnectHandshake(ip, login), [Buffer.from(answer)])
    assert.deepEqual(last.state === 'refused' && last.by, by)
  })
}

test('a host that could end a line of the request is not sent', () => {
  const host = 'a\r\nX: y'
  for (const handshake of [
    new Socks5Handshake('connect', { host, port: 1 }, undefined),
    new Socks4Handshake({ host, port: 1 }),
    new ConnectHandshake({ host, port: 1 }, undefined)
  ]) {
    const step = handshake.begin()
    assert.deepEqual(step.state === 'refused' && step.by, 'target')
  }
})

test('datagrams have the header that dante sends, and fragments are dropped', () => {
  const header = encodeSocksHeader({ host: '127.0.0.1', port: 0xbaa1 }) ?? new Uint8Array()
  assert.equal(toHex(header), '000000017f000001baa1')
  assert.deepEqual(parseSocksDatagram(Uint8Array.of(...header, 1, 2)), {
    from: { host: '127.0.0.1', port: 0xbaa1 },
    message: Uint8Array.of(1, 2)
  })
  const named = parseSocksDatagram(Uint8Array.of(0, 0, 0, 3, 2, 0x61, 0x62, 0, 7, 9))
  assert.deepEqual(named, { from: { host: 'ab', port: 7 }, message: Uint8Array.of(9) })
  assert.equal(encodeSocksHeader({ host: '::1', port: 1 })?.length, 22)
  assert.equal(parseSocksDatagram(Uint8Array.of(0, 0, 1, ...header.subarray(3))), undefined)
  assert.equal(parseSocksDatagram(header.subarray(0, 9)), undefined)
})
