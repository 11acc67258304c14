import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { isOnLocalNetwork } from '../../lib/discovery/local-network.ts'
import { Lsd, type LsdOptions } from '../../lib/discovery/lsd.ts'
import { formatLsd, lsdCapacity, parseLsd } from '../../lib/discovery/lsd-message.ts'
import type { LocalInterface } from '../../lib/net/local-interfaces.ts'
import { type MulticastOptions, MulticastPort } from '../../lib/net/multicast-port.ts'
import { formatAddress, type PeerAddress } from '../../lib/util/address.ts'
import { fromHex, randomBytes } from '../../lib/util/bytes.ts'
import type { TorrentError } from '../../lib/util/errors.ts'
import { fc } from '../support/fast-check.ts'
import { VirtualTimers } from '../tracker/virtual-timers.ts'

const minute = 60_000
const group = '239.192.152.143:6771'
const hashes = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => n.toString(16).padStart(40, '0'))

test('an announce as in BEP 14', () => {
  const [infoHash = ''] = hashes(1)
  const text = `BT-SEARCH * HTTP/1.1\r\nHost: ${group}\r\nPort: 6881\r\nInfohash: ${infoHash}\r\ncookie: me\r\n\r\n\r\n`
  assert.equal(
    Buffer.from(formatLsd(group, { port: 6881, infoHashes: [infoHash], cookie: 'me' })).toString(),
    text
  )
  assert.deepEqual(parseLsd(Buffer.from(text)), { port: 6881, infoHashes: [infoHash], cookie: 'me' })
})

test('an announce in other case, with other headers, several info hashes, and without a cookie', () => {
  const text = `bt-search * http/1.0\nX: y\nINFOHASH:${'AB'.repeat(20)}\ninfohash:  ${'ab'.repeat(20)} \nInfohash: ${'cd'.repeat(20)}\nPORT:1\nnonsense\n\nPort: 5`
  assert.deepEqual(parseLsd(Buffer.from(text)), {
    port: 1,
    infoHashes: ['ab'.repeat(20), 'cd'.repeat(20)],
    cookie: undefined
  })
})

test('a packet holds as many info hashes as fit into 1,400 bytes', () => {
  const cookie = 'x'.repeat(19)
  const count = lsdCapacity('[ff15::efc0:988f]:6771', 65535, cookie)
  const size = (n: number): number => formatLsd(group, { port: 65535, infoHashes: hashes(n), cookie }).length
  assert.ok(count > 20 && size(count) <= 1400 && size(count + 2) > 1400)
})

const head = 'BT-SEARCH * HTTP/1.1\r\n'
const one = `Infohash: ${'ab'.repeat(20)}\r\n`
for (const [what, text] of Object.entries({
  nothing: '',
  'another request': `NOTIFY * HTTP/1.1\r\nPort: 1\r\n${one}`,
  'no port': head + one,
  'port 0': `${head}Port: 0\r\n${one}`,
  'a port too high': `${head}Port: 65536\r\n${one}`,
  'no info hash': `${head}Port: 1\r\n`,
  'half an info hash': `${head}Port: 1\r\nInfohash: ${'ab'.repeat(10)}\r\n`,
  'an info hash of no hexadecimal': `${head}Port: 1\r\nInfohash: ${'xy'.repeat(20)}\r\n`,
  'too much': `${head}Port: 1\r\n${one}${'x'.repeat(2000)}`
})) {
  test(`an announce with ${what} is ignored`, () => assert.equal(parseLsd(Buffer.from(text)), undefined))
}

test('garbage is ignored, or an announce within limits', () => {
  const line = fc.oneof(
    fc.string(),
    fc.constantFrom(head, one, 'Port: 7\r\n', 'cookie: '.concat('x'.repeat(300)), '\r\n', ':')
  )
  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const message = parseLsd(Buffer.from(head + lines.join('')))
      if (message === undefined) return
      assert.ok(message.port >= 1 && message.port <= 65535 && (message.cookie?.length ?? 0) <= 128)
      for (const infoHash of message.infoHashes) assert.match(infoHash, /^[0-9a-f]{40}$/)
    })
  )
})

const lan: LocalInterface = {
  name: 'eth0',
  address: '198.51.100.77',
  prefixLength: 26,
  internal: false,
  multicastName: '198.51.100.77'
}
const lan6: LocalInterface = { ...lan, address: '2a03:2880::77', prefixLength: 64 }
const lo: LocalInterface = { ...lan, address: '127.0.0.1', prefixLength: 8, internal: true }
for (const [host, there, yes] of [
  ['192.168.7.7', [lan], true],
  ['fe80::5%eth0', [lan], true],
  ['169.254.1.1', [lan], true],
  ['198.51.100.65', [lan], true],
  ['198.51.100.128', [lan], false],
  ['9.9.9.9', [lan], false],
  ['127.0.0.1', [lan], false],
  ['2a03:2880::1:2', [lan, lan6], true],
  ['2a03:2881::1', [lan, lan6], false],
  ['127.0.0.1', [lo], true],
  ['192.168.7.7', [lo], false],
  ['0.0.0.0', [lan], false]
] as const) {
  test(`${host} is ${yes ? 'a' : 'no'} neighbour of ${there.map(({ address }) => address)}`, () => {
    assert.equal(isOnLocalNetwork(host, there), yes)
  })
}

/** A service in virtual time that records its packets, and receives any packet. */
class Bench {
  readonly timers = new VirtualTimers()
  readonly sent: { at: number; family: 4 | 6; infoHashes: readonly string[]; bytes: Uint8Array }[] = []
  readonly warnings: TorrentError[] = []
  readonly lsd: Lsd
  port = 6881
  closed = 0
  #options: MulticastOptions[] = []

  constructor(t: TestContext, options: Partial<LsdOptions> = {}) {
    this.lsd = new Lsd({
      port: () => this.port,
      timers: this.timers,
      onWarning: (warning) => this.warnings.push(warning),
      open: async (family) => {
        this.#options.push(family)
        return {
          send: (bytes) => {
            const { infoHashes = [] } = parseLsd(bytes) ?? {}
            this.sent.push({ at: this.timers.now(), family: family.family, infoHashes, bytes })
          },
          refresh: () => {},
          close: async () => void this.closed++
        }
      },
      ...options
    })
    t.after(() => this.lsd.close())
  }

  hear(bytes: Uint8Array, from: PeerAddress): void {
    this.#options[0]?.onMessage(bytes, from)
  }

  hearOf(infoHashes: readonly string[], host: string, port = 6881): void {
    this.hear(formatLsd(group, { port, infoHashes, cookie: 'other' }), { host, port: 6771 })
  }
}

const bytesOf = (infoHash: string): Uint8Array => fromHex(infoHash) ?? new Uint8Array()
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a torrent is announced at once in both families, and again every five minutes', async (t) => {
  const bench = new Bench(t)
  const [infoHash = ''] = hashes(1)
  bench.lsd.peers(bytesOf(infoHash))
  await settled()
  bench.timers.advance(11 * minute)
  assert.deepEqual(
    bench.sent.map(({ at, family, infoHashes }) => [Math.round(at / minute), family, ...infoHashes]),
    [0, 5, 10].flatMap((at) => [
      [at, 4, infoHash],
      [at, 6, infoHash]
    ])
  )
  assert.match(Buffer.from(bench.sent[0]?.bytes ?? []).toString(), /^Host: 239\.192\.152\.143:6771\r$/m)
  assert.match(Buffer.from(bench.sent[1]?.bytes ?? []).toString(), /^Host: \[ff15::efc0:988f\]:6771\r$/m)
})

test('many torrents are spread over one packet a minute, each in its turn', async (t) => {
  const bench = new Bench(t)
  const all = hashes(200)
  for (const infoHash of all) bench.lsd.peers(bytesOf(infoHash))
  await settled()
  bench.timers.advance(30 * minute)
  const sent = bench.sent.filter(({ family }) => family === 4)
  for (const [n, { at, bytes }] of sent.entries()) {
    assert.ok(bytes.length <= 1400)
    assert.ok(n === 0 || at - (sent[n - 1]?.at ?? 0) >= minute)
  }
  const seen = sent.flatMap(({ infoHashes }) => infoHashes)
  assert.deepEqual(seen.slice(0, 200), all)
  assert.deepEqual(seen.slice(200, 400), all)
})

test('a torrent that leaves is not announced, and without a port none is', async (t) => {
  const bench = new Bench(t)
  bench.port = 0
  const [one = '', two = ''] = hashes(2)
  const first = bench.lsd.peers(bytesOf(one))
  const again = bench.lsd.peers(bytesOf(one))
  bench.lsd.peers(bytesOf(two))
  await settled()
  bench.timers.advance(minute / 2)
  assert.equal(bench.sent.length, 0)
  bench.port = 5
  bench.timers.advance(minute)
  assert.deepEqual(bench.sent[0]?.infoHashes, [one, two])
  await first.return?.()
  bench.timers.advance(5 * minute)
  assert.deepEqual(bench.sent[2]?.infoHashes, [one, two])
  await again.return?.()
  bench.timers.advance(5 * minute)
  assert.deepEqual(bench.sent[4]?.infoHashes, [two])
})

test('neighbours are reported for active torrents, and our own packets are not', async (t) => {
  const bench = new Bench(t)
  const [one = '', two = '', three = ''] = hashes(3)
  const peers = [one, two].map((infoHash) => bench.lsd.peers(bytesOf(infoHash)))
  await settled()
  bench.timers.advance(minute / 4)
  bench.hear(bench.sent[0]?.bytes ?? new Uint8Array(), { host: '192.168.1.1', port: 6771 })
  bench.hear(Buffer.from('garbage'), { host: '192.168.1.1', port: 6771 })
  bench.hearOf([three], '192.168.1.2')
  bench.hearOf([one, three, two], '192.168.1.3', 77)
  bench.hearOf([one, two], 'fe80::1%eth0')
  for (const queue of peers) {
    assert.deepEqual((await queue.next()).value, { host: '192.168.1.3', port: 77 })
    assert.deepEqual((await queue.next()).value, { host: 'fe80::1%eth0', port: 6881 })
  }
  await bench.lsd.close()
  assert.deepEqual(await peers[0]?.next(), { value: undefined, done: true })
  assert.deepEqual(await bench.lsd.peers(bytesOf(one)).next(), { value: undefined, done: true })
  assert.equal(bench.closed, 2)
})

test('a neighbour that pretends to be many is limited', async (t) => {
  const bench = new Bench(t)
  const [infoHash = ''] = hashes(1)
  const queue = bench.lsd.peers(bytesOf(infoHash))
  await settled()
  for (let port = 1; port <= 10; port++) bench.hearOf([infoHash], '10.0.0.1', port)
  for (let n = 0; n < 200; n++) bench.hearOf([infoHash], `10.1.0.${n}`)
  const heard: string[] = []
  for (let n = 0; n < 64; n++) {
    const { value } = await queue.next()
    heard.push(formatAddress(value))
  }
  assert.equal(heard.filter((address) => address.startsWith('10.0.0.1:')).length, 8)
  assert.equal(heard.at(-1), '10.1.0.55:6881')
  const next = queue.next()
  bench.hearOf([infoHash], '10.2.0.1')
  bench.timers.advance(minute)
  bench.hearOf([infoHash], '10.3.0.1')
  assert.equal((await next).value?.host, '10.3.0.1')
})

test('a socket that cannot be opened is a warning, and the other family continues', async (t) => {
  const sent: number[] = []
  const bench = new Bench(t, {
    open: async ({ family }) => {
      if (family === 4) throw new Error('taken')
      return { send: () => void sent.push(family), refresh: () => {}, close: async () => {} }
    }
  })
  bench.lsd.peers(new Uint8Array(20))
  await settled()
  bench.timers.advance(minute)
  assert.deepEqual(
    bench.warnings.map(({ code, details }) => [code, details['family']]),
    [['ERR_DISCOVERY_LSD', 4]]
  )
  assert.deepEqual(sent, [6])
})

test('clients on loopback hear each other, and not themselves', async (t) => {
  const infoHash = randomBytes(20)
  const services = [1111, 2222].map(
    (port) =>
      new Lsd({ port: () => port, open: (options) => MulticastPort.open({ ...options, host: '127.0.0.1' }) })
  )
  t.after(() => Promise.all(services.map((service) => service.close())))
  const [one, two] = services.map((service) => service.peers(infoHash))
  assert.deepEqual((await one?.next())?.value, { host: '127.0.0.1', port: 2222 })
  assert.deepEqual((await two?.next())?.value, { host: '127.0.0.1', port: 1111 })
})
