import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { Network } from '../../lib/net/network.ts'
import { TrackerSet } from '../../lib/swarm/tracker-set.ts'
import type { TorrentHost } from '../../lib/torrent/torrent-host.ts'
import type { Announcement } from '../../lib/tracker/announcement.ts'
import { until } from '../support/until.ts'
import { Bench, serve } from '../torrent/bench.ts'

const network = new Network({ host: '127.0.0.1' })
after(() => network.close())

test('a completion while no tracker is in use is announced once they are again', async (t) => {
  const bench = new Bench(t)
  const heard: (string | null)[] = []
  const url = await serve(bench, (request, response) => {
    heard.push(new URL(request.url ?? '', 'http://localhost').searchParams.get('event'))
    response.end(encode({ interval: 900, peers: '' }))
  })
  const set = new TrackerSet({
    infoHash: new Uint8Array(20),
    host: { peerId: new Uint8Array(20), port: 1, network } as unknown as TorrentHost,
    counters: () => ({ uploaded: 0, downloaded: 5, left: 0 }),
    onAnnouncement: () => {},
    onWarning: assert.ifError
  })
  bench.after(() => set.close())
  set.setActive(false)
  set.add([`${url}/announce`])
  set.completed()
  set.setActive(true)
  await until('two announces', () => heard.length, { is: 2 })
  set.setActive(false)
  set.setActive(true)
  await until('four announces', () => heard.length, { is: 4 })
  assert.deepEqual(heard, ['started', 'completed', 'stopped', 'started'])
})

test('our address from a tracker is known when the first of its peers is dialled', async (t) => {
  const bench = new Bench(t)
  const peers = Uint8Array.of(127, 0, 0, 1, 0, 80)
  const url = await serve(bench, (_request, response) => {
    response.end(encode({ interval: 900, peers, 'external ip': '5.6.7.8' }))
  })
  const told: unknown[] = []
  const own = { told: (...what: unknown[]) => told.push(what) }
  let announcement: Announcement | undefined
  const set = new TrackerSet({
    infoHash: new Uint8Array(20),
    host: { peerId: new Uint8Array(20), port: 1, network, own } as unknown as TorrentHost,
    counters: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onAnnouncement: (one) => {
      announcement = one
    },
    onWarning: assert.ifError
  })
  bench.after(() => set.close())
  set.add([`${url}/announce`])
  for await (const peer of announcement ?? []) {
    assert.deepEqual(peer, { host: '127.0.0.1', port: 80 })
    break
  }
  assert.deepEqual(told, [['127.0.0.1', '5.6.7.8', 'tracker']])
})

test('the next announce has the port of the time', async (t) => {
  const bench = new Bench(t)
  const heard: (string | null)[] = []
  const url = await serve(bench, (request, response) => {
    heard.push(new URL(request.url ?? '', 'http://localhost').searchParams.get('port'))
    response.end(encode({ interval: 900, peers: '' }))
  })
  const host = { peerId: new Uint8Array(20), port: 1, network }
  const set = new TrackerSet({
    infoHash: new Uint8Array(20),
    host: host as unknown as TorrentHost,
    counters: () => ({ uploaded: 0, downloaded: 5, left: 0 }),
    onAnnouncement: () => {},
    onWarning: assert.ifError
  })
  bench.after(() => set.close())
  set.add([`${url}/announce`])
  await until('the first announce', () => heard.length, { is: 1 })
  host.port = 2
  set.completed()
  await until('the second announce', () => heard.length, { is: 2 })
  assert.deepEqual(heard, ['1', '2'])
})

test('a tracker that one list names twice is added once', async () => {
  const set = new TrackerSet({
    infoHash: new Uint8Array(20),
    host: { network } as unknown as TorrentHost,
    counters: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onAnnouncement: () => {},
    onWarning: assert.ifError
  })
  set.setActive(false)
  assert.deepEqual(set.add(['http://a/announce', ['http://b/announce', 'http://a/announce'], []]), [
    'http://a/announce',
    'http://b/announce'
  ])
  assert.deepEqual(set.add([['http://b/announce'], 'http://c/announce', 'http://c/announce']), [
    'http://c/announce'
  ])
  assert.deepEqual(set.tiers, [['http://a/announce'], ['http://b/announce'], ['http://c/announce']])
  await set.close()
})
