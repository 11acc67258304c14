// One DHT of 200 of our nodes, some of libtorrent, and two of Transmission, each with a global address, in a
// namespace without a way out. Every node finds everything that any of them announces.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import test from 'node:test'
import { until } from '../support/until.ts'
import { crowdPort, type DhtCrowd, type Sought, startCrowd, startLibtorrentCrowd } from './peers/dht-crowd.ts'
import { freePort } from './peers/real-peer.ts'
import { transmission } from './peers/transmission.ts'
import { infoHashOf, temporaryFolder, writeRandomFile } from './support/data.ts'
import { mktorrent } from './support/make-torrent.ts'
import { openPlaces } from './support/namespaces.ts'
import { needs } from './support/need.ts'
import type { Running } from './support/process.ts'

const ourCount = 200
const libtorrentCount = 5
const transmissionCount = 2
const needed = ['namespaces', 'python3:libtorrent', ...transmission.needed, ...mktorrent.needed]

test(
  "200 of our DHT nodes, 5 of libtorrent and 2 of Transmission find each other's announces",
  needs(needed, 240_000),
  async (t) => {
    const { folder, remove } = temporaryFolder('dht-mixed')
    const places = openPlaces()
    const programs: Running[] = []
    t.after(async () => {
      await Promise.all(programs.map((program) => program.stop()))
      places.close()
      remove()
    })
    const hosts = places.spread(ourCount + libtorrentCount + transmissionCount, 'global')
    const ourHosts = hosts.slice(0, ourCount)
    const libtorrentHosts = hosts.slice(ourCount, ourCount + libtorrentCount)
    const began = performance.now()
    const tell = (what: string): void =>
      t.diagnostic(`${((performance.now() - began) / 1000).toFixed(0)} s: ${what}`)

    const ours = await startCrowd(places.a, ourHosts)
    programs.push(ours.running)
    const { sizes } = await ours.count()
    tell(`our ${sizes.length} nodes know ${Math.min(...sizes)} to ${Math.max(...sizes)} others each`)
    const dhtNodes = ourHosts.slice(3, 23).map((host) => `${host}:${crowdPort}`)
    const libtorrent = startLibtorrentCrowd(places.a, libtorrentHosts, dhtNodes.slice(0, 3))
    programs.push(libtorrent.running)
    await until(
      'libtorrent to join',
      async () => (await libtorrent.count()).sizes.every((size) => size > 20),
      {
        programs
      }
    )

    const sought: Sought[] = []
    for (const host of hosts.slice(ourCount + libtorrentCount)) {
      const data = path.join(folder, `data-${host}`, 'film')
      const torrentPath = path.join(folder, `${host}.torrent`)
      writeRandomFile(data, 40_000, host)
      mktorrent.make(data, torrentPath, 15)
      const place = { ...places.a, host }
      const port = await freePort()
      programs.push(
        await transmission.seed({
          ...{ torrentPath, dataFolder: path.dirname(data), workFolder: folder, place, port },
          finding: { dht: dhtNodes[0] ?? '', dhtNodes }
        })
      )
      sought.push({ infoHash: infoHashOf(torrentPath), peer: `${host}:${port}` })
    }
    const announce = async (crowd: DhtCrowd, number: number, host = ''): Promise<void> => {
      const infoHash = randomBytes(20).toString('hex')
      const told = await crowd.announce(number, infoHash)
      assert.ok(crowd !== ours || told >= 8, `${told} nodes took what ${host} announced`)
      sought.push({ infoHash, peer: `${host}:${crowdPort}` })
    }
    for (const number of [20, 70, 121, 172]) await announce(ours, number, ourHosts[number])
    for (const number of [0, 1]) await announce(libtorrent, number, libtorrentHosts[number])
    await until('all to be announced', async () => (await ours.find(sought, 9)).missing.length === 0, {
      programs,
      timeoutMs: 90_000,
      everyMs: 500
    })
    tell('all is announced')

    const allFind = async (): Promise<void> => {
      const found = await ours.find(sought)
      const { looks, missing, mostHops, meanHops, meanQuestions } = found
      tell(
        `${looks} look-ups of ours, ${missing.length} in vain, ${meanHops.toFixed(2)} hops, ` +
          `${mostHops} at most, ${meanQuestions.toFixed(1)} questions, ${(found.ms / looks).toFixed(1)} ms for each`
      )
      assert.deepEqual(missing, [])
      assert.ok(mostHops >= 1 && mostHops <= 6, `${mostHops} hops`)
      const others = await libtorrent.find(sought)
      tell(
        `${others.looks} look-ups of libtorrent, ${others.missing.length} in vain, after ${others.ms.toFixed(0)} ms`
      )
      assert.deepEqual(others.missing, [])
    }
    await allFind()
    const dead = ourHosts.flatMap((_, number) => (number % 3 === 1 ? [number] : []))
    assert.equal(await ours.kill(dead), ourCount - dead.length)
    tell(`${dead.length} nodes are dead`)
    await allFind()
  }
)
