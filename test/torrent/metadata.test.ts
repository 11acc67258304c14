import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { deferred } from '../../lib/util/concurrency.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench, type Sample } from './bench.ts'
import { type Behaviour, listenAs } from './evil-peer.ts'

/** A sample whose metadata has several pieces of 16 KiB. */
async function wordy(bench: Bench): Promise<Sample> {
  const names = Array.from({ length: 150 }, (_, n) => `words/${'x'.repeat(200)}${n}`)
  return bench.sample({ 'words/first': 40_000, ...Object.fromEntries(names.map((name) => [name, 1])) })
}

function hashOf(sample: Sample): string {
  return Buffer.from(sample.metainfo.infoHashes.v1 ?? []).toString('hex')
}

test('metadata comes from peers, also from a peer that had to fetch it itself', async (t) => {
  const bench = new Bench(t)
  const sample = await wordy(bench)
  assert.ok(sample.metainfo.info.length > 2 * 16384)
  const near = bench.client()
  const far = bench.client()
  const learning = [near.add(hashOf(sample)), far.add(hashOf(sample))] as const
  await Promise.all([once(near, 'torrent'), once(far, 'torrent')])
  const [[one], [two]] = [near.torrents, far.torrents]
  assert.ok(one !== undefined && two !== undefined)
  // They connect while neither has the metadata.
  two.addPeer(addressOf(near))
  await once(two, 'peer')
  const { client: seed } = await bench.seeder(sample)
  const known = once(two, 'metadata')
  one.addPeer(addressOf(seed))
  await Promise.all([...learning, known])
  assert.equal(two.files.length, 151)
  assert.ok(Buffer.from(two.torrentFile ?? []).includes(Buffer.from(sample.metainfo.info)))
  await Promise.all([one.whenDone(), two.whenDone()])
})

/** Peers that lie about metadata. `late` resolves when an honest seed is connected. */
const liars: Record<string, (sample: Sample, late: Promise<void>) => Behaviour> = {
  'has another length': () => ({ metadata: randomBytes(1000) }),
  'has other bytes': ({ metainfo }) => ({ metadata: randomBytes(metainfo.info.length) }),
  'has one wrong piece': ({ metainfo: { info } }) => {
    const metadata = new Uint8Array(info)
    metadata[20_000] = (metadata[20_000] ?? 0) ^ 1
    return { metadata }
  },
  'is slow and has one wrong piece': ({ metainfo: { info } }, late) => ({
    answerMetadata: (extension, piece) => {
      const bytes = new Uint8Array(info.subarray(piece * 16384, (piece + 1) * 16384))
      if (piece === 1) bytes[0] = (bytes[0] ?? 0) ^ 1
      void late.then(() => extension.data(piece, info.length, bytes))
    }
  }),
  'claims 4 GB': () => ({ metadataSize: 2 ** 32 }),
  'claims nothing': () => ({ metadataSize: 0 }),
  'never answers': () => ({ answerMetadata: () => {} }),
  refuses: () => ({ answerMetadata: (extension, piece) => void extension.reject(piece) }),
  'answers another length than it claimed': ({ metainfo }) => ({
    metadataSize: metainfo.info.length,
    answerMetadata: (extension, piece) => void extension.data(piece, 16384, new Uint8Array(16384))
  }),
  'sends more than there is': () => ({
    answerMetadata: (extension, piece) => void extension.data(piece + 3000, 2 ** 31, new Uint8Array(16384))
  })
}

for (const [name, behaviour] of Object.entries(liars)) {
  test(`metadata arrives beside a peer that ${name}`, async (t) => {
    const bench = new Bench(t)
    const sample = await wordy(bench)
    const late = deferred<void>()
    const liar = await listenAs(bench, sample, { ...behaviour(sample, late.promise), mute: true })
    const { client: seed, torrent: source } = await bench.seeder(sample)
    const client = bench.client()
    const added = client.add(hashOf(sample), { peers: [liar.address] })
    await until('the connection to the liar', () => liar.sockets.length)
    const [torrent] = client.torrents
    if (torrent?.peers.length === 0 && !liar.sockets[0]?.closed) await once(torrent, 'peer')
    torrent?.addPeer(addressOf(seed))
    await until('the leecher at the seed', () => source.peers.length)
    await turns()
    late.resolve()
    assert.equal((await added).files.length, 151)
  })
}

test('many claimed lengths at once do not keep the right one out', async (t) => {
  const bench = new Bench(t)
  const sample = await wordy(bench)
  const liars = await Promise.all(
    [1, 2, 3, 4, 5].map((n) =>
      listenAs(bench, sample, {
        metadataSize: 1000 * n,
        mute: true,
        answerMetadata: () => {}
      })
    )
  )
  const client = bench.client()
  const added = client.add(hashOf(sample), { peers: liars.map(({ address }) => address) })
  await once(client, 'torrent')
  const [torrent] = client.torrents
  await until('five peers', () => torrent?.peers.length ?? 0, { is: (value) => value >= 5 })
  const { client: seed } = await bench.seeder(sample)
  torrent?.addPeer(addressOf(seed))
  await once(torrent ?? client, 'peer' as never)
  for (const { sockets } of liars.slice(0, 2)) sockets[0]?.destroy()
  assert.equal((await added).name, 'words')
})

test('invalid metadata ends the wait', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 1000 })
  const metadata = Buffer.from('d4:name3:foo12:piece lengthi16384ee')
  const infoHash = new Uint8Array(createHash('sha1').update(metadata).digest())
  const evil = await listenAs(bench, sample, { infoHash, metadata })
  const client = bench.client()
  await assert.rejects(client.add(infoHash, { peers: [evil.address] }), { code: /ERR_METAINFO/ })
  assert.deepEqual(client.torrents, [])
})

test('a private torrent is reported as private once its metadata is known', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const { client: seed, torrent: source } = await bench.seeder(sample)
  const torrent = await bench.client().add(source.magnetURI, { peers: [addressOf(seed)] })
  assert.equal(torrent.private, true)
  assert.equal(source.private, true)
  await torrent.whenDone()
})
