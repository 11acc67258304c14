import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Client, ClientEvents } from '../../lib/client/client.ts'
import type { Torrent, TorrentEvents } from '../../lib/torrent/torrent.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench, type Sample, same } from './bench.ts'
import { FaultyStorage } from './faulty-storage.ts'

const full = new TorrentError('ERR_STORAGE_FULL', 'the disk is full')

interface Meeting {
  readonly bench: Bench
  readonly sample: Sample
  readonly magnet: string
  readonly peers: readonly string[]
}

async function meeting(t: TestContext): Promise<Meeting> {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'a/film.mkv': 300_000, 'a/empty.txt': 0 })
  const { client, torrent } = await bench.seeder(sample)
  return { bench, sample, magnet: torrent.magnetURI, peers: [addressOf(client)] }
}

async function downloads(torrent: Torrent, sample: Sample): Promise<void> {
  await torrent.whenDone()
  assert.ok(same(await torrent.files.find(({ length }) => length > 0)?.arrayBuffer(), sample.data))
}

/** One listener for each event of a torrent; the record names all events. */
const ofTorrent: Record<keyof TorrentEvents, (torrent: Torrent) => void> = {
  metadata: () => {},
  status: () => {},
  verified: () => {},
  file: () => {},
  peer: () => {},
  done: () => {},
  warning: (torrent) => torrent.addTrackers(['http://127.0.0.1:1/announce']),
  error: () => {},
  close: () => {}
}

for (const [event, provoke] of Object.entries(ofTorrent)) {
  test(`a throwing listener of '${event}' is uncaught, and the torrent continues`, async (t) => {
    const { bench, sample, magnet, peers } = await meeting(t)
    const uncaught = collectUncaught(t)
    const faults: Error[] = []
    let after = 0
    const client = bench.client()
    const storage = new FaultyStorage()
    if (event === 'error') storage.writeFault = full
    client.on('torrent', (torrent) => {
      torrent.on(event as keyof TorrentEvents, () => {
        faults.push(new Error(`${event} ${faults.length}`))
        throw faults.at(-1)
      })
      torrent.on(event as keyof TorrentEvents, () => after++)
    })
    const torrent = await client.add(magnet, { peers, storage })
    provoke(torrent)
    if (event === 'error') {
      await until('the second listener', () => after)
      storage.writeFault = undefined
      torrent.resume()
    }
    await downloads(torrent, sample)
    if (event !== 'close') await until('the second listener', () => after)
    await client.close()
    assert.equal(torrent.status, 'closed')
    await nextTurn()
    assert.ok(faults.length > 0, 'nothing was thrown')
    assert.deepEqual(uncaught, faults)
    assert.equal(after, faults.length)
  })
}

const ofClient: Record<
  keyof ClientEvents,
  (client: Client, meeting: Meeting, storage: FaultyStorage) => Promise<Torrent>
> = {
  torrent: (client, { magnet, peers }) => client.add(magnet, { peers }),
  warning: (client, { sample, peers }) => client.add(sample.bytes, { peers }),
  error: async (client, { sample, peers }, storage) => {
    storage.writeFault = full
    const torrent = await client.add(sample.bytes, { storage, peers })
    await until('the torrent to fail', () => torrent.status, { is: 'error' })
    storage.writeFault = undefined
    torrent.resume()
    return torrent
  }
}

for (const [event, add] of Object.entries(ofClient)) {
  test(`a throwing listener of the client's '${event}' is uncaught, and add, download and close continue`, async (t) => {
    const met = await meeting(t)
    const uncaught = collectUncaught(t)
    const faults: Error[] = []
    let after = 0
    // A taken port gives a warning.
    const client = met.bench.client(event === 'warning' ? { port: Number(met.peers[0]?.split(':')[1]) } : {})
    client.on(event as keyof ClientEvents, () => {
      faults.push(new Error(`${event} ${faults.length}`))
      throw faults.at(-1)
    })
    client.on(event as keyof ClientEvents, () => after++)
    const torrent = await add(client, met, new FaultyStorage())
    await downloads(torrent, met.sample)
    await client.close()
    await nextTurn()
    assert.ok(faults.length > 0, 'nothing was thrown')
    assert.deepEqual(uncaught, faults)
    assert.equal(after, faults.length)
    assert.equal(client.torrents.length, 0)
  })
}

test('removing all listeners changes nothing else', async (t) => {
  const { bench, sample, magnet, peers } = await meeting(t)
  const client = bench.client()
  client.on('torrent', (torrent) => torrent.removeAllListeners())
  const torrent = await client.add(magnet, { peers, select: 'none' })
  client.removeAllListeners()
  torrent.removeAllListeners()
  const file = torrent.files.find(({ length }) => length > 0)
  const stream = file?.createReadStream()
  stream?.removeAllListeners()
  assert.ok(same(await file?.arrayBuffer(), sample.data))
  stream?.destroy(new Error('an error that no one listens to'))
  await nextTurn()
  assert.deepEqual(torrent.streams, [])
  torrent.select([0, 1])
  await torrent.whenDone()
  assertSame(torrent, sample)
  await torrent.close()
  assert.deepEqual(client.torrents, [])
  const again = await client.add(sample.bytes)
  assert.notEqual(again, torrent)
  await client.remove(again)
  assert.deepEqual(client.torrents, [])
})

test('piecewise adds no listeners of its own to the emitters that users get', async (t) => {
  const { bench, sample, peers } = await meeting(t)
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { peers })
  const stream = torrent.files.find(({ length }) => length > 0)?.createReadStream()
  assert.deepEqual(client.eventNames(), [])
  assert.deepEqual(torrent.eventNames(), [])
  assert.deepEqual(stream?.eventNames(), [])
  stream?.destroy()
})

test('a listener may close, remove and add while it is called', async (t) => {
  const { bench, sample, magnet, peers } = await meeting(t)
  const client = bench.client()
  let first: Torrent | undefined
  client.once('torrent', (torrent) => {
    first = torrent
    torrent.once('metadata', () => void client.remove(torrent))
  })
  const added = await client.add(magnet, { peers })
  assert.equal(added, first)
  await until('the torrent to be removed', () => client.torrents.length, { is: 0 })
  client.once('torrent', (torrent) => void torrent.close())
  await assert.rejects(client.add(sample.bytes), { code: 'ERR_TORRENT_CLOSED' })
  await downloads(await client.add(sample.bytes, { peers }), sample)
})
