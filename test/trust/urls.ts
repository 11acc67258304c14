import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { parseCommandLine } from '../../lib/cli/command-line.ts'
import type { Session } from '../../lib/cli/session.ts'
import { downloadOptions } from '../../lib/cli/shared-options.ts'
import { addSource, readAddOptions } from '../../lib/cli/source-argument.ts'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { readSource, type Torrent } from '../../lib/index.ts'
import { anywhere, publicOnly } from '../../lib/net/host-guard.ts'
import { Network } from '../../lib/net/network.ts'
import { httpAnnounce } from '../../lib/tracker/http-tracker.ts'
import type { IpScope } from '../../lib/util/ip-scope.ts'
import { ask, serve as serveTorrents } from '../server/support.ts'
import { until } from '../support/until.ts'
import { Bench, serve } from '../torrent/bench.ts'
import { httpTracker } from '../tracker/http-server.ts'
import { hash, odd } from './support.ts'
import { cell } from './table.ts'

const intent = { 'x-piecewise': '1', 'content-type': 'application/json' }

/**
 * Starts a local service with a tracker at `/announce` and a .torrent at `/a.torrent`, and records its
 * requests.
 */
async function service(t: TestContext): Promise<{
  bench: Bench
  web: string
  torrent: Uint8Array
  asked: string[]
}> {
  const bench = new Bench(t)
  const { bytes: torrent } = await bench.sample({ 'film.mkv': 50_000 })
  const asked: string[] = []
  const web = await serve(bench, (request, response) => {
    asked.push(request.url?.split(/[?&]info_hash/)[0] ?? '')
    response.end(request.url === '/a.torrent' ? torrent : encode({ interval: 900, peers: '' }))
  })
  return { bench, web, torrent, asked }
}

/** Resolves when each tracker has answered or was refused. Returns how often each. */
async function outcome(torrent: Torrent): Promise<{ refused: number; working: number }> {
  const over = (): boolean =>
    torrent.trackers.length > 0 && torrent.trackers.every(({ status }) => /^(?:failed|working)$/.test(status))
  await until('all trackers to answer or be refused', over)
  for (const { error } of torrent.trackers) if (error !== undefined) assert.match(error.message, /is refused/)
  const count = (status: string): number => torrent.trackers.filter((one) => one.status === status).length
  return { refused: count('failed'), working: count('working') }
}

/** Returns whether a redirect leads from a host of one scope to one of another. This machine plays both. */
async function redirected(
  from: IpScope,
  to: IpScope,
  get: (url: URL, scopeOf: (address: string) => IpScope) => Promise<unknown>
): Promise<boolean> {
  await using inner = await httpTracker(
    (_request, response) => response.end(encode({ interval: 900, peers: '' })),
    {
      host: '::1'
    }
  )
  await using outer = await httpTracker(
    (_request, response) => void response.writeHead(302, { location: inner.url }).end()
  )
  await get(new URL(outer.url), (address) => (address === '::1' ? to : from)).catch(() => {})
  assert.equal(outer.requests.length > 0, true)
  return inner.requests.length > 0
}

/** Asserts that trackers of a torrent or magnet link reach a local service at `/announce` alone. */
async function checkGuarded(
  t: TestContext,
  add: (trackers: string[], bench: Bench) => Promise<Torrent>
): Promise<void> {
  const { bench, web, asked } = await service(t)
  const torrent = await add([`${web}${odd.path}`, `${web}/announce`, `${web}/announce?x=1`], bench)
  assert.deepEqual(await outcome(torrent), { refused: 2, working: 1 })
  assert.deepEqual(asked, ['/announce'])
}

function magnetOf(trackers: readonly string[], more = ''): string {
  return `magnet:?xt=urn:btih:${hash}${trackers.map((url) => `&tr=${encodeURIComponent(url)}`).join('')}${more}`
}

/** Adds a magnet link, and does not wait for its metadata. */
async function addMagnet(bench: Bench, source: string): Promise<Torrent> {
  const client = bench.client()
  client.add(source).catch(() => {})
  const [torrent] = await once(client, 'torrent')
  return torrent
}

/** Tests the cells of fetched URLs. */
export function urlCells(): void {
  cell('program', 'tracker URL', async (t) => {
    const { bench, web, asked, torrent: bytes } = await service(t)
    const torrent = await bench.client().add(bytes, { trackers: [`${web}${odd.path}`] })
    assert.deepEqual(await outcome(torrent), { refused: 0, working: 1 })
    assert.deepEqual(asked, [odd.path])
    const announced = (from: IpScope, to: IpScope): Promise<boolean> =>
      redirected(from, to, (url, scopeOf) =>
        httpAnnounce(new Network().http, url, odd.parameters, { trust: 'program', scopeOf })
      )
    assert.deepEqual(
      [
        await announced('global', 'private'),
        await announced('private', 'loopback'),
        await announced('loopback', 'private')
      ],
      [false, false, true]
    )
  })
  cell('program', 'source URL', async (t) => {
    const { web, asked } = await service(t)
    await readSource(`${web}/a.torrent`)
    assert.deepEqual(asked, ['/a.torrent'])
    const fetched = (from: IpScope, to: IpScope): Promise<boolean> =>
      redirected(from, to, (url, scopeOf) => new Network().http.get(url, { guard: anywhere, scopeOf }))
    assert.deepEqual(
      [
        await fetched('global', 'private'),
        await fetched('private', 'loopback'),
        await fetched('loopback', 'private')
      ],
      [false, false, true]
    )
  })
  cell('command line', 'tracker URL', async (t) => {
    const { bench, web, asked, torrent: bytes } = await service(t)
    const line = parseCommandLine('download', downloadOptions, ['x', '--tracker', `${web}${odd.path}`])
    const torrent = await bench.client().add(bytes, readAddOptions(line))
    assert.deepEqual(await outcome(torrent), { refused: 0, working: 1 })
    assert.deepEqual(asked, [odd.path])
  })
  cell('command line', 'source URL', async (t) => {
    const { bench, web, asked } = await service(t)
    const session = { client: bench.client(), signal: new AbortController().signal } as unknown as Session
    await addSource(session, `${web}/a.torrent`, { reading: { host: '127.0.0.1' }, selectLater: false })
    assert.deepEqual(asked, ['/a.torrent'])
  })
  cell('page with token', 'tracker URL', (t) =>
    checkGuarded(t, async (trackers, bench) => {
      const client = bench.client()
      const { port } = await serveTorrents(t, client, { token: 'abc' })
      const body = JSON.stringify({ source: magnetOf(trackers), trackers: [trackers[0]] })
      await ask(port, '/api/torrents?token=abc', { method: 'POST', headers: intent, body })
      return client.get(hash) ?? assert.fail()
    })
  )
  cell('page with token', 'source URL', async (t) => {
    const { bench, web, asked } = await service(t)
    const add = async (privateSources: boolean): Promise<number> => {
      const { port } = await serveTorrents(t, bench.client(), { token: 'abc', privateSources })
      const body = JSON.stringify({ source: `${web}/a.torrent` })
      return (await ask(port, '/api/torrents?token=abc', { method: 'POST', headers: intent, body })).status
    }
    assert.equal(await add(false), 400)
    assert.deepEqual(asked, [])
    assert.equal(await add(true), 201)
    assert.deepEqual(asked, ['/a.torrent'])
    const fetched = (from: IpScope, to: IpScope): Promise<boolean> =>
      redirected(from, to, (url, scopeOf) => new Network().http.get(url, { guard: publicOnly, scopeOf }))
    assert.deepEqual([await fetched('global', 'loopback'), await fetched('global', 'global')], [false, true])
  })
  for (const column of ['tracker URL', 'source URL'] as const) {
    cell('page without token', column, async (t) => {
      const { bench, web, asked } = await service(t)
      const client = bench.client()
      const { port } = await serveTorrents(t, client, { token: 'abc', privateSources: true })
      const source = column === 'source URL' ? `${web}/a.torrent` : magnetOf([`${web}/announce`])
      for (const query of ['', '?token=', '?token=ab']) {
        const reply = await ask(port, `/api/torrents${query}`, {
          method: 'POST',
          headers: intent,
          body: JSON.stringify({ source })
        })
        assert.equal(reply.status, 401)
      }
      assert.deepEqual([asked, client.torrents], [[], []])
    })
  }
  cell('magnet', 'tracker URL', (t) =>
    checkGuarded(t, (trackers, bench) => addMagnet(bench, magnetOf(trackers)))
  )
  cell('magnet', 'source URL', async (t) => {
    const { bench, web, asked } = await service(t)
    const more = ['xs', 'as', 'ws', 'mt', 'dn']
      .map((key) => `&${key}=${encodeURIComponent(`${web}/${key}`)}`)
      .join('')
    const torrent = await addMagnet(bench, magnetOf([`${web}/announce`], more))
    assert.deepEqual(await outcome(torrent), { refused: 0, working: 1 })
    assert.deepEqual(asked, ['/announce'])
  })
  cell('torrent', 'tracker URL', (t) =>
    checkGuarded(t, async (trackers, bench) => {
      const { bytes } = await bench.sample({ 'other.mkv': 20_000 }, { trackers })
      return bench.client().add(bytes)
    })
  )
  cell('torrent', 'source URL', async (t) => {
    const { bench, web, asked } = await service(t)
    const info = { length: 5, name: 'a', 'piece length': 16384, pieces: new Uint8Array(20) }
    const bytes = encode({
      announce: `${web}/announce`,
      info,
      'url-list': [`${web}/seed`],
      httpseeds: [`${web}/seed`],
      'update-url': `${web}/update`,
      originator: `${web}/o`
    })
    assert.deepEqual(await outcome(await bench.client().add(bytes)), { refused: 0, working: 1 })
    assert.deepEqual(asked, ['/announce'])
  })
  cell('tracker', 'tracker URL', async () => {
    const announced = (from: IpScope, to: IpScope): Promise<boolean> =>
      redirected(from, to, (url, scopeOf) =>
        httpAnnounce(new Network().http, url, odd.parameters, { scopeOf })
      )
    for (const from of ['global', 'private', 'loopback'] as const) {
      for (const to of ['global', 'private', 'loopback'] as const)
        assert.equal(await announced(from, to), to === 'global', `${from} to ${to}`)
    }
  })
  cell('tracker', 'source URL', async (t) => {
    const bench = new Bench(t)
    const asked: string[] = []
    const web = await serve(bench, (request, response) => {
      asked.push(request.url?.split('?')[0] ?? '')
      const more = { 'url-list': `${web}/a`, 'tracker url': `${web}/b`, 'failure url': `${web}/c` }
      response.end(encode({ interval: 900, peers: '', 'warning message': `see ${web}/d`, ...more }))
    })
    assert.deepEqual(await outcome(await addMagnet(bench, magnetOf([`${web}/announce`]))), {
      refused: 0,
      working: 1
    })
    assert.deepEqual(asked, ['/announce'])
  })
  // These sources can send only addresses, none of which is a URL.
  for (const source of ['dht', 'pex', 'lsd'] as const) {
    for (const column of ['tracker URL', 'source URL'] as const) {
      cell(source, column, () => {
        const book = new AddressBook({ random: () => 0 })
        for (const host of [
          'http://127.0.0.1/announce',
          '127.0.0.1/announce',
          'me:pw@127.0.0.1',
          'udp://127.0.0.1'
        ])
          assert.equal(book.add({ host, port: 80 }, source, 0, '127.0.0.1', 'loopback'), false)
        assert.equal(book.size, 0)
      })
    }
  }
}
