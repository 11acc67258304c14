import assert from 'node:assert/strict'
import { Socket } from 'node:dgram'
import { networkInterfaces } from 'node:os'
import { type TestContext, test } from 'node:test'
import { bindPortPair, type PortPair } from '../../lib/net/port-pair.ts'
import { TcpTransport } from '../../lib/net/tcp.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { TorrentError } from '../../lib/util/errors.ts'

const hasIpv6 = Object.values(networkInterfaces()).some((list) =>
  list?.some(({ address }) => address === '::1')
)

interface Bound extends PortPair {
  readonly warnings: readonly Error[]
}

async function bound(t: TestContext, host: string | undefined, port: number): Promise<Bound> {
  const tcp = new TcpTransport()
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  t.after(() => tcp.close())
  const pair = await bindPortPair(tcp, { host, port, onWarning, onConnection: () => {} })
  t.after(() => Promise.all(pair.udp.map((one) => one.close())))
  return { ...pair, warnings }
}

/** Returns a port number that was free a moment ago. */
async function freeNumber(t: TestContext, host: string): Promise<number> {
  const { listener, udp } = await bound(t, host, 0)
  await Promise.all([listener.close(), ...udp.map((one) => one.close())])
  return listener.port
}

function isPair({ listener, udp }: PortPair): boolean {
  return udp.length > 0 && udp.every(({ port }) => port === listener.port)
}

for (const host of [undefined, '127.0.0.1', ...(hasIpv6 ? ['::', '::1'] : [])]) {
  test(`TCP and UDP have one port number at ${host ?? 'every address'}`, async (t) => {
    const pair = await bound(t, host, 0)
    assert.ok(isPair(pair))
    assert.deepEqual(
      pair.udp.map(({ family }) => family),
      { '127.0.0.1': [4], '::1': [6] }[host ?? ''] ?? (hasIpv6 ? [4, 6] : [4])
    )
    assert.deepEqual(pair.warnings, [])
  })
}

test('a free requested number is used', async (t) => {
  const port = await freeNumber(t, '127.0.0.1')
  const pair = await bound(t, '127.0.0.1', port)
  assert.ok(isPair(pair))
  assert.equal(pair.listener.port, port)
  assert.deepEqual(pair.warnings, [])
})

const takers: readonly (readonly [string, string | undefined, (t: TestContext) => Promise<number>])[] = [
  [
    'TCP',
    '127.0.0.1',
    async (t) => {
      const tcp = new TcpTransport()
      t.after(() => tcp.close())
      return (await tcp.listen({ host: '127.0.0.1', port: 0, onConnection: () => {} })).port
    }
  ],
  ['UDP', '127.0.0.1', (t) => takenUdp(t, 4, '127.0.0.1')],
  ...(hasIpv6 ? [['UDP over IPv6', undefined, (t: TestContext) => takenUdp(t, 6, '::')] as const] : [])
]

async function takenUdp(t: TestContext, family: 4 | 6, host: string): Promise<number> {
  const taken = await bindUdpPort({ family, host })
  t.after(() => taken.close())
  return taken.port
}

for (const [what, host, take] of takers) {
  test(`a number that is taken for ${what} is replaced by the next one for all, with a warning`, async (t) => {
    const port = await take(t)
    const pair = await bound(t, host, port)
    assert.ok(isPair(pair))
    assert.notEqual(pair.listener.port, port)
    const [warning, another] = pair.warnings
    assert.ok(warning instanceof TorrentError && another === undefined)
    assert.equal(warning.code, 'ERR_TRANSPORT_LISTEN')
    assert.equal(warning.message, `port ${port} is taken; listening on ${pair.listener.port}`)
    assert.deepEqual(warning.details, { port, used: pair.listener.port })
  })
}

test('an address of another machine is refused, whatever the number', async (t) => {
  await assert.rejects(bound(t, '192.0.2.1', 0), { code: 'ERR_TRANSPORT_LISTEN' })
  await assert.rejects(bound(t, '192.0.2.1', 6881), {
    code: 'ERR_TRANSPORT_LISTEN',
    message: /192\.0\.2\.1:6881/
  })
})

test('where UDP is unavailable, TCP listens on the requested number, with one warning', async (t) => {
  const port = await freeNumber(t, '127.0.0.1')
  const refused = Object.assign(new Error('bind EPERM'), { code: 'EPERM' })
  t.mock.method(Socket.prototype, 'bind', function (this: Socket) {
    process.nextTick(() => this.emit('error', refused))
    return this
  })
  const pair = await bound(t, '127.0.0.1', port)
  assert.equal(pair.listener.port, port)
  assert.deepEqual(pair.udp, [])
  const [warning, another] = pair.warnings
  assert.ok(warning instanceof TorrentError && another === undefined)
  assert.equal(warning.code, 'ERR_TRANSPORT_LISTEN')
  assert.equal(warning.cause, refused)
})
