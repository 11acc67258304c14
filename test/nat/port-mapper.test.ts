import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import type { NatStatus } from '../../lib/nat/nat-status.ts'
import { PortMapper } from '../../lib/nat/port-mapper.ts'
import { FakeLan, type RouterSettings } from './fake-lan.ts'

const minute = 60_000
const mapped = { 'tcp 6881': '192.168.1.20:6881', 'udp 6881': '192.168.1.20:6881' }

interface Scene {
  readonly lan: FakeLan
  readonly mapper: PortMapper
  readonly statuses: NatStatus[]
}

function open(
  t: TestContext,
  routers: readonly RouterSettings[],
  prepare: (lan: FakeLan) => void = () => {}
): Scene {
  const lan = new FakeLan(...routers)
  prepare(lan)
  const statuses: NatStatus[] = []
  const { timers } = lan
  const onChange = (status: NatStatus) => void statuses.push(status)
  const mapper = new PortMapper({ network: lan, port: 6881, udp: true, timers, onChange })
  t.after(async () => {
    await close({ lan, mapper })
    assert.equal(lan.timers.size, 0, 'a timer is left')
    assert.equal(lan.openPorts, 0, 'a socket is left')
  })
  return { lan, mapper, statuses }
}

async function close({ lan, mapper }: Pick<Scene, 'lan' | 'mapper'>): Promise<void> {
  const closed = mapper.close()
  await lan.advance(900)
  await closed
}

function tableOf({ routers }: FakeLan, index = 0): Record<string, string> {
  return Object.fromEntries(routers[index]?.table ?? [])
}

for (const { name, settings, protocol, withinMs } of [
  { name: 'PCP', settings: { pcp: true, upnp: true }, protocol: 'pcp', withinMs: 0 },
  { name: 'NAT-PMP that refuses PCP', settings: { natPmp: 'polite' }, protocol: 'nat-pmp', withinMs: 0 },
  {
    name: 'NAT-PMP that ignores PCP',
    settings: { natPmp: true, upnp: true },
    protocol: 'nat-pmp',
    withinMs: 999
  },
  {
    name: 'NAT-PMP beside a PCP that does not allow it',
    settings: { pcp: 2, natPmp: true },
    protocol: 'nat-pmp',
    withinMs: 0
  },
  { name: 'UPnP', settings: { upnp: true }, protocol: 'upnp', withinMs: 1999 },
  {
    name: 'UPnP beside a PCP without resources',
    settings: { pcp: 8, upnp: true },
    protocol: 'upnp',
    withinMs: 0
  }
] as const) {
  test(`a port is mapped by ${name}, and the mapping removed`, async (t) => {
    const scene = open(t, [settings])
    const { lan, mapper } = scene
    await lan.advance(withinMs)
    const gateway = '192.168.1.1'
    assert.deepEqual(mapper.status, {
      ...{ state: 'mapped', protocol, gateway, externalPort: 6881, externalAddress: '85.78.0.1' },
      transports: ['tcp', 'udp']
    })
    assert.deepEqual(tableOf(lan), mapped)
    await close(scene)
    assert.deepEqual(tableOf(lan), {})
  })
}

test('only TCP is mapped without UDP', async (t) => {
  const lan = new FakeLan({ pcp: true })
  const mapper = new PortMapper({
    network: lan,
    port: 6881,
    udp: false,
    timers: lan.timers,
    onChange: () => {}
  })
  t.after(() => close({ lan, mapper }))
  await lan.advance(0)
  assert.deepEqual(Object.keys(tableOf(lan)), ['tcp 6881'])
})

test('a network without a router that maps ports costs little', async (t) => {
  const { lan, mapper, statuses } = open(t, [{}])
  await lan.advance(10_000)
  assert.equal(mapper.status.state, 'failed')
  assert.equal(mapper.status.reason, '192.168.1.1 does not answer; no UPnP device answers')
  const once = lan.sent.length
  assert.ok(once <= 20, `${once} datagrams`)
  await lan.advance(24 * 60 * minute)
  // After a minute, two, four, and so on up to an hour.
  const searches = lan.sent.length / once
  assert.ok(searches >= 24 && searches <= 32, `${searches} searches`)
  assert.ok(statuses.length <= 2 * searches)
})

test('without a network nothing is sent, and a router is found when there is one', async (t) => {
  const { lan, mapper } = open(t, [{ pcp: true }], (one) => {
    one.known = []
  })
  await lan.advance(10 * minute)
  assert.deepEqual(lan.sent, [])
  assert.equal(mapper.status.state, 'failed')
  lan.known = ['192.168.1.1']
  await lan.advance(minute)
  assert.equal(mapper.status.state, 'mapped')
})

test('another network gets the port, and the former router gets it back', async (t) => {
  const { lan, mapper } = open(t, [{ pcp: true }, { natPmp: 'polite' }], (one) => {
    one.known = ['192.168.1.1']
  })
  await lan.advance(5 * minute)
  lan.known = ['192.168.1.2']
  await lan.advance(minute)
  assert.deepEqual([tableOf(lan, 0), tableOf(lan, 1)], [{}, mapped])
  assert.equal(mapper.status.gateway, '192.168.1.2')
})

test('leases are renewed at half of their time', async (t) => {
  const { lan } = open(t, [{ pcp: true, lifetime: 600 }])
  await lan.advance(0)
  const [router] = lan.routers
  assert.deepEqual(router?.log, ['pcp tcp 6881 for 3600', 'pcp udp 6881 for 3600'])
  await lan.advance(299_000)
  assert.equal(router?.log.length, 2)
  await lan.advance(2_000)
  assert.equal(router?.log.length, 4)
})

test('a lease of a second is not renewed more often than every 15 seconds', async (t) => {
  const { lan } = open(t, [{ pcp: true, lifetime: 1 }])
  await lan.advance(10 * minute)
  assert.ok((lan.routers[0]?.log.length ?? 0) <= 2 * 41)
})

test('long leases are renewed every 20 minutes, so that a restarted router maps again', async (t) => {
  const { lan } = open(t, [{ upnp: true }])
  await lan.advance(2_000)
  lan.routers[0]?.table.clear()
  await lan.advance(20 * minute)
  assert.deepEqual(tableOf(lan), mapped)
})

test('a router that announces its restart maps again at once; others are ignored', async (t) => {
  const { lan } = open(t, [{ pcp: true }])
  await lan.advance(minute)
  const [router] = lan.routers
  router?.table.clear()
  const restarted = Buffer.alloc(24)
  restarted.set([2, 0x80])
  lan.announce(restarted, '192.168.1.66')
  lan.announce(Buffer.from('other things'), '192.168.1.1')
  await lan.advance(0)
  assert.deepEqual(tableOf(lan), {})
  for (let n = 0; n < 10; n++) lan.announce(restarted, '192.168.1.1')
  await lan.advance(0)
  assert.deepEqual(tableOf(lan), mapped)
  for (let n = 0; n < 50; n++) {
    await lan.advance(100)
    lan.announce(restarted, '192.168.1.1')
  }
  assert.equal(router?.log.length, 4)
})

test('a router that stops to answer is replaced by another protocol', async (t) => {
  const { lan, mapper } = open(t, [{ pcp: true, upnp: true }])
  await lan.advance(0)
  const [router] = lan.routers
  if (router !== undefined) router.settings = { upnp: true }
  await lan.advance(22 * minute)
  assert.equal(mapper.status.protocol, 'upnp')
})

test('the external port may be another, for TCP and UDP the same', async (t) => {
  const { lan, mapper } = open(t, [{ pcp: true, shift: { tcp: 9 } }])
  await lan.advance(0)
  assert.equal(mapper.status.externalPort, 6890)
  assert.deepEqual(mapper.status.transports, ['tcp', 'udp'])
  // The renewal asks for the port that it has.
  await lan.advance(30 * minute)
  assert.equal(mapper.status.externalPort, 6890)
})

test('a UDP mapping on another external port is removed', async (t) => {
  const { lan, mapper } = open(t, [{ natPmp: 'polite', shift: { udp: 5 } }])
  await lan.advance(0)
  assert.deepEqual(mapper.status.transports, ['tcp'])
  assert.deepEqual(Object.keys(tableOf(lan)), ['tcp 6881'])
})

for (const externalAddress of ['100.64.3.4', '192.168.0.7'])
  test(`a router whose own address is ${externalAddress} is behind another`, async (t) => {
    const { lan, mapper } = open(t, [{ pcp: true, externalAddress }])
    await lan.advance(0)
    assert.equal(mapper.status.state, 'double-nat')
    assert.match(mapper.status.reason ?? '', new RegExp(`${externalAddress} is not public`))
  })

test('a router without a connection is believed', async (t) => {
  const { lan, mapper } = open(t, [{ natPmp: 'polite', externalAddress: '0.0.0.0' }])
  await lan.advance(0)
  assert.equal(mapper.status.state, 'mapped')
  assert.equal('externalAddress' in mapper.status, false)
})

test('of several routers the best that answers maps the port, and only one', async (t) => {
  const both = open(t, [{ pcp: true }, { pcp: true }])
  await both.lan.advance(minute)
  assert.equal(both.mapper.status.gateway, '192.168.1.1')
  assert.deepEqual(tableOf(both.lan, 1), {})
  const second = open(t, [{}, { pcp: true }])
  await second.lan.advance(minute)
  assert.equal(second.mapper.status.gateway, '192.168.1.2')
})

test('closing removes what is being mapped', async (t) => {
  const scene = open(t, [{ upnp: true, natPmp: true }])
  await scene.lan.advance(749)
  // NAT-PMP begins while it closes.
  await close(scene)
  assert.deepEqual(tableOf(scene.lan), {})
})

test('closing takes less than a second if the router is silent', async (t) => {
  const { lan, mapper } = open(t, [{ pcp: true }])
  await lan.advance(0)
  const [router] = lan.routers
  if (router !== undefined) router.settings = {}
  let isClosed = false
  const closed = mapper.close().then(() => {
    isClosed = true
  })
  await lan.advance(899)
  assert.equal(isClosed, false)
  await lan.advance(1)
  assert.equal(isClosed, true)
  await closed
})
