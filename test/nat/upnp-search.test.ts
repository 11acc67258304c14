import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { searchUpnp } from '../../lib/nat/upnp-search.ts'
import { FakeLan, type RouterSettings } from './fake-lan.ts'

interface Scene {
  readonly lan: FakeLan
  readonly result: ReturnType<typeof searchUpnp>
}

async function search(
  t: TestContext,
  routers: readonly RouterSettings[],
  hosts: readonly string[]
): Promise<Scene> {
  const lan = new FakeLan(...routers)
  const port = await lan.separateUdpPort(lan.local)
  const through = {
    name: 'eth0',
    address: lan.local,
    prefixLength: 24,
    internal: false,
    multicastName: lan.local
  }
  const { signal } = new AbortController()
  const result = searchUpnp({ network: lan, port, through, hosts, timers: lan.timers, signal })
  t.after(() => assert.equal(lan.timers.size, 0))
  return { lan, result }
}

test('a known router is used at once, another device only after the search', async (t) => {
  const both = await search(t, [{ upnp: true }, { upnp: true }], ['192.168.1.2'])
  await both.lan.advance(0)
  const router = await both.result
  assert.ok(!('refused' in router) && router.host === '192.168.1.2')
  const other = await search(t, [{ upnp: true }], ['192.168.1.254'])
  await other.lan.advance(1_599)
  assert.deepEqual(other.lan.asked, [])
  await other.lan.advance(1)
  assert.equal('refused' in (await other.result), false)
})

for (const location of [
  'http://192.168.1.9:5000/desc.xml',
  'http://127.0.0.1:631/',
  'http://example.com/desc.xml',
  'https://192.168.1.1/desc.xml',
  'http://user@192.168.1.1/desc.xml',
  'file:///etc/passwd',
  'nonsense'
])
  test(`a description at ${location} is not fetched`, async (t) => {
    const { lan, result } = await search(t, [{ upnp: true, location }], ['192.168.1.1'])
    await lan.advance(2_000)
    assert.deepEqual(await result, { refused: 'no UPnP device answers' })
    assert.deepEqual(lan.asked, [])
  })

test('answers from other networks are ignored', async (t) => {
  const { lan, result } = await search(t, [], ['192.168.1.1'])
  const host = '85.78.0.9'
  lan.deliver(Buffer.from(`HTTP/1.1 200 OK\r\nLOCATION: http://${host}/\r\n\r\n`), { host, port: 1900 })
  await lan.advance(2_000)
  assert.deepEqual(await result, { refused: 'no UPnP device answers' })
})

test('at most four descriptions are fetched, and 64 answers read', async (t) => {
  const { lan, result } = await search(t, [{ description: '<root/>' }], ['192.168.1.1'])
  const answer = (n: number): Buffer =>
    Buffer.from(`HTTP/1.1 200 OK\r\nlocation:http://192.168.1.1:5000/${n}\r\n\r\n`)
  for (let n = 0; n < 1000; n++) lan.deliver(answer(n), { host: '192.168.1.1', port: 1900 })
  await lan.advance(2_000)
  assert.deepEqual(await result, { refused: 'no UPnP device maps ports' })
  assert.equal(lan.asked.length, 4)
})
