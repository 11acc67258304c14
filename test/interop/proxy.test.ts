// A client with a proxy sends packets to its proxy only, whatever happens to it. Every packet of the
// client's host is captured, on all interfaces.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { createTorrent } from '../../lib/metainfo.ts'
import { until } from '../support/until.ts'
import { startTracker } from './peers/opentracker.ts'
import { type ClientProcess, type ClientTask, startClient } from './peers/piecewise.ts'
import { type ProxyName, proxies, proxyNeeds, type RealProxy } from './peers/proxies.ts'
import { freePort } from './peers/real-peer.ts'
import { type Capture, captureNeeds, type Packet, startCapture } from './support/capture.ts'
import { assertSameTree, infoHashOf, temporaryFolder, writeRandomFile } from './support/data.ts'
import { openLan } from './support/lan.ts'
import { needs } from './support/need.ts'
import { attempt, type Place, type Running, run } from './support/process.ts'

/** Name of the host of tracker and seed, which only the proxy's host can resolve. A public name may not name private peers. */
const site = 'site.lan'
/** Milliseconds that are watched while the client can do nothing. */
const idleMs = 2500

interface Stage {
  /** Place of the client. */
  readonly here: Place
  readonly proxyPlace: Place
  readonly folder: string
  readonly data: string
  /** Packets of the client's host. */
  readonly capture: Capture
  /** Packets of the host of tracker and seed. */
  readonly served: Capture
  /** Starts a client that downloads the torrent by all means that are on by default. */
  leech(task: Partial<ClientTask>): ClientProcess
  startProxy(name: ProxyName, port?: number): Promise<RealProxy>
}

/** With `isNamed`, the torrent names its trackers by a host name. */
async function stage(t: TestContext, isNamed = true): Promise<Stage> {
  const { folder, remove } = temporaryFolder('proxy')
  const lan = openLan(4)
  const programs: Running[] = []
  const [here, there, proxyPlace, elsewhere] = lan.places
  assert.ok(here !== undefined && there !== undefined && proxyPlace !== undefined && elsewhere !== undefined)
  const files = path.join('/etc/netns', proxyPlace.enter.at(-1) ?? '')
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    lan.close()
    remove()
    rmSync(files, { recursive: true, force: true })
  })
  // Programs in that place see this file as /etc/hosts.
  mkdirSync(files, { recursive: true })
  writeFileSync(path.join(files, 'hosts'), `127.0.0.1 localhost\n${there.host} ${site}\n`)
  // Without a default route, forbidden packets would not even be sent.
  run([...here.enter, 'ip', 'route', 'replace', 'default', 'via', elsewhere.host])
  const data = path.join(folder, 'data', 'film.bin')
  writeRandomFile(data, 3_000_000, 'proxy')
  const torrent = path.join(folder, 'film.torrent')
  writeFileSync(torrent, await createTorrent(data))
  const tracker = await startTracker(there, folder, [infoHashOf(torrent)])
  programs.push(tracker)
  const { port } = new URL(tracker.httpUrl)
  const host = isNamed ? site : there.host
  const trackers = [`http://${host}:${port}/announce`, `udp://${host}:${port}/announce`]
  const seedTorrent = path.join(folder, 'seed.torrent')
  writeFileSync(seedTorrent, await createTorrent(data, { trackers: [tracker.httpUrl] }))
  writeFileSync(torrent, await createTorrent(data, { trackers }))
  const seedPort = await freePort()
  const seed = startClient('seed', there, {
    torrent: seedTorrent,
    folder: path.dirname(data),
    host: there.host,
    port: seedPort,
    dht: `${there.host}:1`,
    uploadLimit: 1_500_000
  })
  programs.push(seed)
  await seed.done
  const [capture, served] = [await startCapture(here), await startCapture(there)]
  programs.push(capture, served)
  return {
    ...{ here, proxyPlace, folder, data, capture, served },
    leech(task) {
      const out = path.join(folder, 'out')
      mkdirSync(out, { recursive: true })
      const client = startClient('client', here, {
        torrent,
        folder: out,
        host: here.host,
        port: 0,
        discovery: true,
        ...task,
        ...(task.dht === undefined ? {} : { dht: task.dht.replace('SEED', `${seedPort}`) })
      })
      programs.push(client)
      return client
    },
    async startProxy(name, wanted) {
      const proxy = await proxies[name]({
        place: proxyPlace,
        folder,
        ...(wanted === undefined ? {} : { port: wanted })
      })
      programs.push(proxy)
      return proxy
    }
  }
}

/** Fails if a packet went anywhere but to the proxy. */
function assertNoLeak({ capture, proxyPlace }: Stage): void {
  const leaks = capture.packets.filter(({ to }) => to !== proxyPlace.host)
  assert.deepEqual(leaks, [])
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function end(client: ClientProcess): Promise<void> {
  client.signal('SIGTERM')
  await until('the client to close', () => client.report()?.event === 'closed', { programs: [client] })
  await client.stop()
}

const isDht = ({ protocol, body }: Packet): boolean => protocol === 'udp' && body.startsWith('64')
const common = [...captureNeeds, 'opentracker', 'ss', 'ps']

for (const name of Object.keys(proxies) as ProxyName[]) {
  const options = needs([...common, ...proxyNeeds[name]], 60_000)
  test(`everything goes through ${name}`, options, async (t) => {
    // dante knows SOCKS4, but not the names of SOCKS4a.
    const scene = await stage(t, name !== 'dante by SOCKS4')
    const proxy = await scene.startProxy(name)
    const hasUdp = name === 'dante'
    const client = scene.leech({ proxy: proxy.url, ...(hasUdp ? { dht: `${site}:SEED` } : {}) })
    await client.done
    assertSameTree(scene.data, path.join(scene.folder, 'out', 'film.bin'))
    if (hasUdp) {
      const answered = (): boolean =>
        scene.served.packets.some((packet) => isDht(packet) && packet.to === scene.proxyPlace.host)
      await until('the DHT node to answer through the relay', answered, { programs: [client] })
    }
    await end(client)
    assertNoLeak(scene)
    assert.ok(scene.capture.packets.some(({ protocol }) => protocol === 'udp') === hasUdp)
    assert.doesNotMatch(client.log(), /sekret/)
  })
}

test(
  'nothing is sent elsewhere with a wrong password',
  needs([...common, ...proxyNeeds.microsocks], 60_000),
  async (t) => {
    const scene = await stage(t)
    const { url } = await scene.startProxy('microsocks')
    const client = scene.leech({ proxy: url.replace('sekret', 'guessed'), dht: `${site}:SEED` })
    await until('the warning', () => /wrong user name or password/.test(client.log()), { programs: [client] })
    await wait(idleMs)
    await end(client)
    assertNoLeak(scene)
    assert.doesNotMatch(client.log(), /guessed/)
    assert.equal(client.report()?.progress, 0)
  }
)

test(
  'nothing is sent elsewhere while the proxy is slow, is killed in mid-transfer, and returns',
  needs([...common, ...proxyNeeds.dante], 60_000),
  async (t) => {
    const scene = await stage(t)
    const proxy = await scene.startProxy('dante')
    const client = scene.leech({ proxy: proxy.url, dht: `${site}:SEED` })
    const progress = (): number => client.report()?.progress ?? 0
    await until('the first pieces', () => progress() > 0.1, { programs: [client] })
    const family = [
      proxy.pid,
      ...(attempt(['ps', '-o', 'pid=', '--ppid', `${proxy.pid}`]).stdout.match(/\d+/g) ?? [])
    ]
    for (const pid of family) attempt(['kill', '-STOP', `${pid}`])
    await wait(500)
    for (const pid of family) attempt(['kill', '-CONT', `${pid}`])
    await until('more pieces', () => progress() > 0.3, { programs: [client] })
    assert.ok(progress() < 1)
    await proxy.kill()
    await until('the warning', () => /ERR_TRANSPORT_PROXY/.test(client.log()), { programs: [client] })
    await wait(500)
    await scene.startProxy('dante', proxy.port)
    await client.done
    await end(client)
    assertNoLeak(scene)
  }
)

test(
  'nothing is sent elsewhere if a name cannot be resolved',
  needs([...common, ...proxyNeeds.dante], 60_000),
  async (t) => {
    const scene = await stage(t)
    rmSync(path.join('/etc/netns', scene.proxyPlace.enter.at(-1) ?? '', 'hosts'))
    const proxy = await scene.startProxy('dante')
    const client = scene.leech({ proxy: proxy.url, dht: `${site}:SEED` })
    await wait(idleMs)
    await end(client)
    assertNoLeak(scene)
    assert.equal(client.report()?.progress, 0)
  }
)

test('the same client without a proxy is seen by the capture', needs(common, 60_000), async (t) => {
  const scene = await stage(t)
  const client = scene.leech({ dht: `${site}:SEED` })
  const sent = (which: (packet: Packet) => boolean): boolean => scene.capture.packets.some(which)
  await until('a DNS query', () => sent(({ toPort }) => toPort === 53), { programs: [client] })
  await until('multicast', () => sent(({ to }) => to.startsWith('239.')), { programs: [client] })
  client.signal('SIGKILL')
  await client.exited
})
