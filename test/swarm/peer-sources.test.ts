import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerSources } from '../../lib/swarm/peer-sources.ts'
import { RunState } from '../../lib/torrent/run-state.ts'
import type { TorrentHost } from '../../lib/torrent/torrent-host.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { AsyncQueue } from '../../lib/util/async-queue.ts'

/** Sources of a torrent whose client has LSD and a DHT. `asked` lists the sources in use. */
function bench(paused: boolean): { state: RunState; sources: PeerSources; asked: Set<string> } {
  const asked = new Set<string>()
  const peers = (name: string) => (): AsyncQueue<PeerAddress> => {
    asked.add(name)
    return new AsyncQueue(1, { close: () => asked.delete(name) })
  }
  const host = { lsd: { peers: peers('lsd') }, dht: { peers: peers('dht') } } as unknown as TorrentHost
  const state = new RunState(paused, undefined)
  const sources = new PeerSources({
    infoHash: new Uint8Array(20),
    host,
    state,
    isSeed: () => false,
    isHungry: () => true,
    counters: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeers: () => {},
    onWarning: assert.ifError
  })
  return { state, sources, asked }
}

test('a torrent that accepts no peers is announced neither locally nor in the DHT', async () => {
  const { state, sources, asked } = bench(false)
  state.open()
  sources.start([])
  assert.deepEqual([...asked].sort(), ['dht', 'lsd'])
  state.pause()
  sources.update()
  assert.deepEqual([...asked], [])
  state.resume()
  sources.update()
  assert.deepEqual([...asked].sort(), ['dht', 'lsd'])
  state.setQueued(true)
  sources.update()
  assert.deepEqual([...asked], [])
  state.pause()
  state.setQueued(false)
  sources.update()
  assert.deepEqual([...asked], [])
  await sources.close()
})

test('a torrent that starts paused asks only for its metadata', async () => {
  const { state, sources, asked } = bench(true)
  sources.start([])
  assert.deepEqual([...asked].sort(), ['dht', 'lsd'])
  state.open()
  sources.update()
  assert.deepEqual([...asked], [])
  await sources.close()
})

test('a tracker that is added twice before the start is remembered once', async () => {
  const { sources } = bench(true)
  const [one, two] = ['http://127.0.0.1:9/announce', 'udp://127.0.0.1:9/two']
  assert.equal(sources.addTrackers([one, [two, one]], 'program'), true)
  sources.recall({ peers: [], trackers: [one, two] })
  assert.equal(sources.addTrackers([one], 'program'), false)
  assert.deepEqual(sources.remember().trackers, [one, two])
  await sources.close()
})
