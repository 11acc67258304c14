import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { planQueue, type QueueEntry } from '../../lib/client/queue.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { until } from '../support/until.ts'
import { addressOf, Bench } from '../torrent/bench.ts'

/**
 * Parses queue entries: `d` downloads and `s` seeds, in capitals when they run, with `!` when idle for long
 * and `~` when tried; `-` is neither, `r` is read.
 */
function entries(text: string): QueueEntry[] {
  return text.split(' ').map((word, index) => {
    const letter = word[0] ?? ''
    const kind = { d: 'download', s: 'seed' }[letter.toLowerCase()] as QueueEntry['kind']
    const running = letter !== letter.toLowerCase()
    const idleMs = running ? (word.includes('!') ? 3_600_000 + index : 5) : 0
    const stoppedIdleAt = word.includes('~') ? Number(/\d+$/.exec(word)?.[0] ?? 1) : undefined
    return { kind, running, idleMs, stoppedIdleAt, wanted: word.includes('r') }
  })
}

const plans: [name: string, queue: string, downloads: number, seeds: number, runs: string][] = [
  ['no limits', 'd s d s', Infinity, Infinity, '1111'],
  ['the first ones', 'd d d s s s', 2, 1, '110100'],
  ['an earlier torrent evicts a later one', 'd D', 1, 0, '10'],
  ['torrents outside the rules do not count', '- d - d', 1, 0, '1110'],
  ['a limit of 0 stops all', 'D! S d s', 0, 0, '0000'],
  ['a torrent without progress does not count', 'D! d d', 1, 0, '110'],
  ['an idle seed does not count', 'S! s s', 1, 1, '110'],
  ['a torrent with a reader runs, and counts', 'd dr d', 1, 0, '010'],
  ['a torrent with a reader runs beyond the limit', 'd dr dr', 1, 0, '011'],
  ['the torrent without progress for longest makes room', 'D! D! D! D! D! d d', 1, 0, '1111010'],
  ['active torrents do not replace each other', 'D! D! D! D! D! D!', 1, 0, '111111'],
  ['a torrent that had a turn waits behind those that had none', 'd~1 d d', 1, 0, '010'],
  ['among torrents that had a turn the first one comes', 'd~7 d~3', 1, 0, '01']
]
for (const [name, queue, maxActiveDownloads, maxActiveSeeds, runs] of plans) {
  test(`queue: ${name}`, () => {
    const plan = planQueue(entries(queue), { maxActiveDownloads, maxActiveSeeds })
    assert.equal(plan.map(Number).join(''), runs)
  })
}

test('queue: all torrents get their turn, however many make no progress', () => {
  const count = 40
  const state = Array.from({ length: count }, () => ({
    running: false,
    since: 0,
    stoppedIdleAt: -1,
    had: false
  }))
  for (let now = 0; now < count * 120_000; now += 30_000) {
    const list = state.map(({ running, since, stoppedIdleAt }) => ({
      kind: 'download' as const,
      running,
      idleMs: running ? now - since : 0,
      stoppedIdleAt: stoppedIdleAt < 0 ? undefined : stoppedIdleAt,
      wanted: false
    }))
    const plan = planQueue(list, { maxActiveDownloads: 2, maxActiveSeeds: 0 })
    assert.ok(plan.filter(Boolean).length <= 2 + 4 + 2, 'some more than the limit run, and not all')
    for (const [index, one] of state.entries()) {
      if (plan[index] && !one.running) Object.assign(one, { running: true, since: now, had: true })
      else if (!plan[index] && one.running) Object.assign(one, { running: false, stoppedIdleAt: now })
    }
  }
  assert.ok(state.every(({ had }) => had))
})

const statuses = (torrents: readonly Torrent[]) => torrents.map(({ status }) => status).join(' ')

/** Resolves when the torrents have these statuses. */
async function become(torrents: readonly Torrent[], expected: string): Promise<void> {
  await until(`torrents to be ${expected}`, () => statuses(torrents), { is: expected })
}

test("torrents wait for their turn, in the user's order", async (t) => {
  const bench = new Bench(t)
  const samples = [
    await bench.sample({ a: 60_000 }),
    await bench.sample({ b: 60_000 }),
    await bench.sample({ c: 60_000 })
  ]
  const client = bench.client({ maxActiveDownloads: 1 })
  const torrents: Torrent[] = []
  for (const { bytes } of samples) torrents.push(await client.add(bytes))
  const [a, b, c] = torrents as [Torrent, Torrent, Torrent]
  await become(torrents, 'downloading queued queued')
  client.move(c, 0)
  assert.deepEqual(client.torrents, [c, a, b])
  await become(torrents, 'queued queued downloading')
  c.pause()
  await become(torrents, 'downloading queued paused')
  c.resume()
  await become(torrents, 'queued queued downloading')
  // A torrent with a reader does not wait.
  const stream = b.files[0]?.createReadStream()
  stream?.on('error', () => {}).resume()
  await become(torrents, 'queued downloading queued')
  stream?.destroy()
  await become(torrents, 'queued queued downloading')
  client.maxActiveDownloads = 2
  await become(torrents, 'downloading queued downloading')
  client.maxActiveDownloads = Infinity
  await become(torrents, 'downloading downloading downloading')
  assert.throws(() => (client.maxActiveSeeds = -1), { code: 'ERR_CLIENT_OPTION' })
})

test('a complete download starts the next one, and seeds take turns by themselves', async (t) => {
  const bench = new Bench(t)
  const samples = [await bench.sample({ a: 60_000 }), await bench.sample({ b: 60_000 })]
  const client = bench.client({ maxActiveDownloads: 1, maxActiveSeeds: 1 })
  const torrents: Torrent[] = []
  for (const sample of samples) {
    const { client: seed } = await bench.seeder(sample)
    torrents.push(await client.add(sample.bytes, { peers: [addressOf(seed)] }))
  }
  await Promise.all(torrents.map((torrent) => torrent.whenDone()))
  await become(torrents, 'seeding queued')
  torrents[0]?.pause()
  await become(torrents, 'paused seeding')
})

test('a queued torrent has no peers, no announces and no incoming connections', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ a: 60_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client({ maxActiveDownloads: 0 })
  const torrent = await client.add(sample.bytes, {
    peers: [addressOf(seed)],
    trackers: ['http://127.0.0.1:9/announce']
  })
  await become([torrent], 'queued')
  assert.deepEqual(
    torrent.trackers.map(({ url, status }) => [url, status]),
    [['http://127.0.0.1:9/announce', 'idle']]
  )
  assert.deepEqual(torrent.peers, [])
  client.maxActiveDownloads = 1
  await torrent.whenDone()
})

test('seeding ends at a ratio, and continues on request', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ a: 200_000 })
  const { client: seed, torrent } = await bench.seeder(sample, { seedRatio: 1 })
  const leecher = bench.client()
  await (await leecher.add(sample.bytes, { peers: [addressOf(seed)] })).whenDone()
  await become([torrent], 'finished')
  assert.deepEqual(torrent.peers, [])
  const text = await torrent.files[0]?.arrayBuffer()
  assert.equal(text?.byteLength, 200_000, 'it can still be read')
  torrent.resume()
  await become([torrent], 'seeding')
  await (await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })).whenDone()
  assert.equal(torrent.status, 'seeding')
})

test('seeding ends after a time, which a torrent may set for itself', async (t) => {
  const bench = new Bench(t)
  const { client, torrent } = await bench.seeder(await bench.sample({ a: 100_000 }), { seedTime: 50 })
  const other = await client.seed((await bench.sample({ b: 100_000 })).root, { seedTime: Infinity })
  await become([torrent, other], 'finished seeding')
  assert.ok(torrent.seedingTime >= 50)
  const [before, beforeOther] = [torrent.seedingTime, other.seedingTime]
  await until('time to pass', () => other.seedingTime, { is: (time) => time > beforeOther + 1 })
  assert.equal(torrent.seedingTime, before)
  other.seedRatio = 0
  await become([torrent, other], 'finished finished')
  assert.throws(() => (other.seedTime = -1), { code: 'ERR_CLIENT_OPTION' })
})

test('a new selection of a finished torrent is fetched', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a': 60_000, 'pack/b': 60_000 })
  const { client: seed } = await bench.seeder(sample)
  const torrent = await bench
    .client()
    .add(sample.bytes, { select: [0], seedTime: 0, peers: [addressOf(seed)] })
  await torrent.whenDone()
  await become([torrent], 'finished')
  torrent.select(1)
  const done = once(torrent, 'done')
  torrent.addPeer(addressOf(seed))
  await done
})

test('an idle torrent does not count in the queue, and a stream runs it beyond the limit', async (t) => {
  const bench = new Bench(t)
  const client = bench.client({ maxActiveDownloads: 0, maxActiveSeeds: 0 })
  const idle = await client.add((await bench.sample({ a: 60_000 })).bytes, { select: 'none' })
  const other = await client.add((await bench.sample({ b: 60_000 })).bytes)
  await become([idle, other], 'idle queued')
  client.maxActiveDownloads = 1
  await become([idle, other], 'idle downloading')
  const stream = idle.files[0]?.createReadStream()
  stream?.on('error', () => {}).resume()
  await become([idle, other], 'downloading queued')
  stream?.destroy()
  await become([idle, other], 'idle downloading')
  idle.select(0)
  await become([idle, other], 'downloading queued')
  idle.deselect(0)
  await become([idle, other], 'idle downloading')
  idle.pause()
  await become([idle, other], 'paused downloading')
  idle.resume()
  await become([idle, other], 'idle downloading')
})

test('an idle torrent that serves peers counts as a seed', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a': 300_000, 'pack/b': 300_000 })
  const { client: source } = await bench.seeder(sample)
  const client = bench.client({ maxActiveSeeds: 1, maxActiveDownloads: 5 })
  const idle = await client.add(sample.bytes, { select: 'none', peers: [addressOf(source)] })
  await idle.files[0]?.arrayBuffer()
  const seed = await client.seed((await bench.sample({ c: 60_000 })).root)
  await become([idle, seed], 'idle seeding')
  const leecher = bench.client({ downloadLimit: 20_000 })
  await leecher.add(sample.bytes, { select: [0], peers: [addressOf(client)] })
  await become([idle, seed], 'idle queued')
  client.move(seed, 0)
  await become([idle, seed], 'queued seeding')
  assert.deepEqual(idle.peers, [])
  // It queues like any seed, whether or not a peer could request something meanwhile.
  client.maxActiveSeeds = 2
  await become([idle, seed], 'idle seeding')
  await leecher.close()
  client.maxActiveSeeds = 1
  client.move(idle, 0)
  await become([idle, seed], 'idle queued')
})

test('an idle torrent has reached no goal', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a': 60_000, 'pack/b': 60_000 })
  const { client: seed } = await bench.seeder(sample)
  const client = bench.client({ seedRatio: 0 })
  const torrent = await client.add(sample.bytes, { select: 'none', peers: [addressOf(seed)] })
  const other = await client.seed((await bench.sample({ c: 60_000 })).root)
  await become([torrent, other], 'idle finished')
  torrent.select(0)
  await torrent.whenDone()
  await become([torrent], 'finished')
  torrent.deselect(0)
  await become([torrent], 'idle')
  torrent.select(0)
  await torrent.whenDone()
  await become([torrent], 'finished')
  // An open stream keeps it running, however long.
  const stream = torrent.files[1]?.createReadStream()
  for await (const chunk of stream ?? []) assert.ok(chunk.length > 0)
  await become([torrent], 'finished')
})
