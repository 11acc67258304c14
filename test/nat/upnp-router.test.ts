import assert from 'node:assert/strict'
import test from 'node:test'
import { UpnpRouter } from '../../lib/nat/upnp-router.ts'
import type { RouterSettings } from './fake-lan.ts'
import { FakeLan } from './fake-lan.ts'

const { signal } = new AbortController()
const request = { transport: 'tcp', port: 6881, externalPort: 6881 } as const

async function describe(settings: RouterSettings): Promise<{ lan: FakeLan; router: UpnpRouter }> {
  const lan = new FakeLan({ upnp: true, ...settings })
  const options = { network: lan, host: '192.168.1.1', local: lan.local }
  const router = await UpnpRouter.describe(new URL('http://192.168.1.1:5000/desc.xml'), options, signal)
  assert.ok(router !== undefined)
  return { lan, router }
}

function count(lan: FakeLan, action: string): number {
  return (lan.routers[0]?.log ?? []).filter((one) => one === `upnp ${action}`).length
}

for (const fault of [725, 402, 501])
  test(`a router that refuses a lease with ${fault} maps without one, until the mapping is removed`, async () => {
    const leases: string[] = []
    const { lan, router } = await describe({
      fault: (action, args) => {
        if (action !== 'AddPortMapping') return undefined
        leases.push(args.get('NewLeaseDuration') ?? '')
        return args.get('NewLeaseDuration') === '0' ? undefined : fault
      }
    })
    assert.deepEqual(await router.map(request, signal), {
      externalPort: 6881,
      lifetimeMs: Number.POSITIVE_INFINITY
    })
    await router.map(request, signal)
    assert.deepEqual(leases, ['7200', '0', '0'])
    await router.unmap(request, signal)
    assert.equal(lan.routers[0]?.table.size, 0)
  })

test('a port that another host has is replaced by the next', async () => {
  const { router } = await describe({
    fault: (action, args) =>
      action === 'AddPortMapping' && Number(args.get('NewExternalPort')) < 6884 ? 718 : undefined
  })
  assert.deepEqual(await router.map(request, signal), { externalPort: 6884, lifetimeMs: 7_200_000 })
})

test('after ten ports of other hosts the router is left alone', async () => {
  const { lan, router } = await describe({
    fault: (action) => (action === 'AddPortMapping' ? 718 : undefined)
  })
  assert.deepEqual(await router.map({ ...request, externalPort: 65_530 }, signal), {
    refused: 'has given the port to another host (UPnP error 718)'
  })
  assert.equal(count(lan, 'AddPortMapping'), 11)
})

test('a mapping of ours that an earlier run left behind is taken over', async () => {
  const { lan, router } = await describe({
    fault: (action, args) =>
      action === 'AddPortMapping' && lan.routers[0]?.table.has(`tcp ${args.get('NewExternalPort')}`) === true
        ? 718
        : undefined
  })
  lan.routers[0]?.table.set('tcp 6881', `${lan.local}:6881`)
  assert.deepEqual(await router.map(request, signal), { externalPort: 6881, lifetimeMs: 7_200_000 })
  assert.equal(count(lan, 'DeletePortMapping'), 1)
})

test('arguments have the order of the specification', async () => {
  let order: string[] = []
  const { router } = await describe({
    fault: (action, args) => {
      if (action === 'AddPortMapping') order = [...args.keys()]
      return undefined
    }
  })
  await router.map(request, signal)
  assert.deepEqual(order, [
    'NewRemoteHost',
    'NewExternalPort',
    'NewProtocol',
    'NewInternalPort',
    'NewInternalClient',
    'NewEnabled',
    'NewPortMappingDescription',
    'NewLeaseDuration'
  ])
})

test('of two services the one that is connected is used', async () => {
  const service = (type: string, path: string): string =>
    `<service><serviceType>urn:schemas-upnp-org:service:${type}</serviceType><controlURL>${path}</controlURL></service>`
  const lan = new FakeLan({
    upnp: true,
    description: `<root>${service('WANPPPConnection:1', 'ppp')}${service('WANIPConnection:2', 'ip')}</root>`,
    fault: () => (lan.asked.at(-1)?.endsWith('ppp') ? 501 : undefined)
  })
  const options = { network: lan, host: '192.168.1.1', local: lan.local }
  const router = await UpnpRouter.describe(new URL('http://192.168.1.1:5000/a/desc.xml'), options, signal)
  await router?.map(request, signal)
  assert.equal(lan.asked.at(-1), 'http://192.168.1.1:5000/a/ip')
})

test('devices without the service, with another answer or without one are none', async () => {
  for (const description of ['<root/>', '', '<!DOCTYPE root><root/>', `<a>${'<b>'.repeat(3000)}`]) {
    const lan = new FakeLan({ upnp: true, description })
    const options = { network: lan, host: '192.168.1.1', local: lan.local }
    const url = new URL('http://192.168.1.1:5000/desc.xml')
    assert.equal(await UpnpRouter.describe(url, options, signal), undefined)
  }
})

test('a request that is aborted removes what it may have mapped', async () => {
  const controller = new AbortController()
  const { lan, router } = await describe({
    fault: (action) => {
      if (action === 'AddPortMapping') controller.abort()
      return undefined
    }
  })
  assert.ok('refused' in (await router.map(request, controller.signal)))
  assert.equal(lan.routers[0]?.table.size, 0)
})
