import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import type { AddOptions } from '../../lib/torrent/torrent-options.ts'
import { MemoryBudget } from '../../lib/util/memory-budget.ts'
import { until } from '../support/until.ts'
import { addressOf, assertSame, Bench } from './bench.ts'
import { type EvilPeer, listenAs } from './evil-peer.ts'

const mebibyte = 1 << 20

/** Pieces are larger than this, so they are streamed to storage. */
const memoryLimit = mebibyte

/** The most bytes by which any budget was exceeded. */
let mostUsed = 0
const { reserve } = MemoryBudget.prototype
MemoryBudget.prototype.reserve = function (account, bytes, urgent): boolean {
  const reserved = reserve.call(this, account, bytes, urgent)
  mostUsed = Math.max(mostUsed, this.used / this.limit)
  return reserved
}

test.afterEach(() => assert.ok(mostUsed <= 1, `${mostUsed} of the limit was reserved`))

/** Ways for a seed to end after it has sent one block of a piece. */
const ends: Readonly<Record<string, (peer: EvilPeer) => void>> = {
  leaves: ({ socket }) => socket.destroy(),
  chokes: ({ wire }) => wire.choke()
}

for (const [end, stop] of Object.entries(ends)) {
  test(`a seed that ${end} holds no memory that other torrents need`, async (t) => {
    const bench = new Bench(t)
    const large = await bench.sample({ 'large.bin': 2 * mebibyte }, { pieceLength: mebibyte })
    const small = await bench.sample({ 'small.bin': 400_000 })
    const { client: seeder } = await bench.seeder(small)
    let sent = 0
    const short = await listenAs(bench, large, {
      fast: false,
      answer: (peer, piece, offset, length) => {
        if (sent++ > 0) return
        peer.wire.piece(piece, offset, peer.block(piece, offset, length))
        setImmediate(() => stop(peer))
      }
    })
    // Pieces without readers may have one piece of the large torrent at most.
    const client = bench.client({ memoryLimit: Math.ceil((4 / 3) * mebibyte) })
    const waiting = await client.add(large.bytes, { peers: [short.address] })
    await until('the first block', () => sent)
    const torrent = await client.add(small.bytes, { peers: [addressOf(seeder)] })
    await torrent.whenDone()
    assertSame(torrent, small)
    // The received block was kept.
    const asked = new Set<number>()
    const honest = await listenAs(bench, large, {
      answer: (peer, piece, offset, length) => {
        asked.add(piece * mebibyte + offset)
        peer.wire.piece(piece, offset, peer.block(piece, offset, length))
      }
    })
    waiting.addPeer(honest.address)
    await waiting.whenDone()
    assertSame(waiting, large)
    assert.equal(asked.size, 127)
  })
}

const places: Readonly<Record<string, () => AddOptions>> = {
  files: () => ({}),
  "a program's own storage": () => ({ storage: new MemoryStorage() }),
  'files of which some are not selected': () => ({ select: [1] })
}

for (const [place, options] of Object.entries(places)) {
  for (const unverified of [false, true]) {
    const kind = unverified ? 'unverified bytes' : 'verified bytes'
    test(`a torrent with pieces larger than all memory is fetched and read (${place}, ${kind})`, async (t) => {
      const bench = new Bench(t)
      const files = { 'pack/a.bin': 700_000, 'pack/b.bin': 3_000_000, 'pack/c.bin': 900_000 }
      const sample = await bench.sample(files, { pieceLength: mebibyte })
      const { client: seeder } = await bench.seeder(sample)
      const torrent = await bench
        .client({ memoryLimit })
        .add(sample.bytes, { ...options(), peers: [addressOf(seeder)] })
      const file = torrent.files[1]
      assert.ok(file !== undefined)
      const read: Uint8Array[] = []
      for await (const chunk of file.createReadStream({ unverified })) read.push(chunk as Uint8Array)
      assert.ok(Buffer.concat(read).equals(sample.data.subarray(700_000, 3_700_000)))
      await torrent.whenDone()
      torrent.select([0, 1, 2])
      await torrent.whenDone()
      for (const [index, each] of torrent.files.entries()) {
        const bytes = Buffer.from(await each.arrayBuffer())
        const { offset, length } = sample.metainfo.files[index] ?? { offset: 0, length: 0 }
        assert.ok(bytes.equals(sample.data.subarray(offset, offset + length)), each.path)
      }
    })
  }
}

test('blocks of a piece larger than all memory are not fetched again after a restart', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 2 * mebibyte }, { pieceLength: 2 * mebibyte })
  const asked: number[] = []
  const seed = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      if (asked.length === 50) return
      asked.push(offset)
      peer.wire.piece(piece, offset, peer.block(piece, offset, length))
    }
  })
  const options = { memoryLimit, path: bench.folder(), state: bench.folder() }
  const first = bench.client(options)
  const one = await first.add(sample.bytes, { peers: [seed.address] })
  await until('fifty blocks', () => one.received, { is: (value) => value >= 50 * 16_384 })
  await first.close()
  const rest: number[] = []
  const honest = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      rest.push(offset)
      peer.wire.piece(piece, offset, peer.block(piece, offset, length))
    }
  })
  const [two] = await bench.client(options).restored()
  assert.ok(two !== undefined)
  two.addPeer(honest.address)
  await two.whenDone()
  assertSame(two, sample)
  assert.equal(new Set([...asked, ...rest]).size, 128)
  assert.equal(rest.length, 78)
})

test('a peer that sends bad blocks of a piece larger than all memory is banned, and good blocks are fetched once', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 4 * mebibyte }, { pieceLength: 2 * mebibyte })
  const { client: seeder } = await bench.seeder(sample)
  const liar = await listenAs(bench, sample, {
    answer: (peer, piece, offset, length) => {
      const bytes = peer.block(piece, offset, length)
      bytes[0] = (bytes[0] ?? 0) ^ 1
      peer.wire.piece(piece, offset, bytes)
    }
  })
  const client = bench.client({ memoryLimit })
  const torrent = await client.add(sample.bytes, { peers: [liar.address, addressOf(seeder)] })
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
})

test('a piece without readers makes room for others while its seed sends nothing', async (t) => {
  const bench = new Bench(t)
  const large = await bench.sample({ 'large.bin': mebibyte }, { pieceLength: mebibyte })
  const small = await bench.sample({ 'small.bin': 400_000 })
  const { client: seeder } = await bench.seeder(small)
  const held: (() => void)[] = []
  const slow = await listenAs(bench, large, {
    answer: (peer, piece, offset, length) => {
      const answer = () => peer.wire.piece(piece, offset, peer.block(piece, offset, length))
      if (offset < 10 * 16_384) answer()
      else held.push(answer)
    }
  })
  // Pieces without readers may have one piece of the large torrent at most.
  const client = bench.client({ memoryLimit: Math.ceil((4 / 3) * mebibyte) })
  const waiting = await client.add(large.bytes, { peers: [slow.address] })
  await until('a held write', () => held.length)
  const torrent = await client.add(small.bytes, { peers: [addressOf(seeder)] })
  await torrent.whenDone()
  assertSame(torrent, small)
  const done = waiting.whenDone()
  let isDone = false
  void done.then(() => {
    isDone = true
  })
  while (!isDone) {
    for (const answer of held.splice(0)) answer()
    await turn()
  }
  assertSame(waiting, large)
  // No block was requested twice.
  assert.equal(waiting.received, mebibyte)
})

test('ten torrents with small and large pieces, whose seeds come and go, are fetched, and two are read', async (t) => {
  const bench = new Bench(t)
  const lengths = [16, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096]
  const client = bench.client({ memoryLimit: 2 * mebibyte })
  const torrents = await Promise.all(
    lengths.map(async (kibibytes, index) => {
      const length = Math.max(600_000, kibibytes * 1024 + 100_000)
      const sample = await bench.sample({ [`${index}.bin`]: length }, { pieceLength: kibibytes * 1024 })
      const torrent = await client.add(sample.bytes)
      // A seed sends some blocks and leaves, then the next one comes. Every third one never sends the last of
      // its blocks.
      let seeds = 0
      const come = async (): Promise<void> => {
        const isSilent = ++seeds % 3 === 0
        let left = 10 + 7 * index
        const seed = await listenAs(bench, sample, {
          answer: (peer, piece, offset, size) => {
            if (left-- > (isSilent ? 3 : 0)) peer.wire.piece(piece, offset, peer.block(piece, offset, size))
            if (left !== 0) return
            setImmediate(() => peer.socket.destroy())
            void come()
          }
        })
        torrent.addPeer(seed.address)
      }
      await come()
      return { torrent, sample }
    })
  )
  const reads = [4, 8].map(async (index) => {
    const { torrent, sample } = torrents[index] ?? assert.fail()
    const chunks: Uint8Array[] = []
    for await (const chunk of torrent.files[0]?.createReadStream() ?? []) chunks.push(chunk as Uint8Array)
    assert.ok(Buffer.concat(chunks).equals(sample.data))
  })
  await Promise.all([...reads, ...torrents.map(({ torrent }) => torrent.whenDone())])
  await client.close()
  for (const { torrent, sample } of torrents) assertSame(torrent, sample)
})
