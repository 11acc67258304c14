import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { blockLength, type Layout, layoutOf } from '../../lib/metainfo/layout.ts'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { TorrentFiles } from '../../lib/torrent/torrent-files.ts'
import type { SelectItem } from '../../lib/torrent/torrent-options.ts'
import { until } from '../support/until.ts'
import { Bench, type Sample, serve } from './bench.ts'
import { dial, EvilPeer, listenAs } from './evil-peer.ts'
import { paddedSample } from './padded.ts'

/** Padding of less than a block, of several blocks, and after the last file, in pieces of this size. */
function sampleOf(pieceLength: number): Sample {
  const list = [
    ['a', pieceLength - 100] as const,
    100,
    ['b', 100] as const,
    pieceLength - 100,
    ['c', 2 * pieceLength + blockLength + 5] as const,
    pieceLength - blockLength - 5
  ]
  return paddedSample(list, pieceLength)
}

/** Returns the bytes of the files of {@link sampleOf}. */
const dataOf = (pieceLength: number): number => 3 * pieceLength + blockLength + 5

/** A user storage that treats padding as ordinary bytes. */
class Plain extends MemoryStorage {
  bytes = new Uint8Array()

  override async open(layout: Layout): Promise<void> {
    await super.open(layout)
    this.bytes = new Uint8Array(layout.length).fill(0xff)
  }

  override async read(byteOffset: number, target: Uint8Array): Promise<number> {
    target.set(this.bytes.subarray(byteOffset, byteOffset + target.length))
    return target.length
  }

  override async write(byteOffset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.bytes.set(Buffer.concat(chunks), byteOffset)
  }
}

interface Way {
  readonly name: string
  readonly pieceLength: number
  readonly memoryLimit?: number
  readonly isPlain?: boolean
}

const ways: readonly Way[] = [
  { name: 'in pieces that are held in memory', pieceLength: 4 * blockLength },
  { name: 'in pieces that are streamed', pieceLength: 64 * blockLength, memoryLimit: 64 * blockLength },
  { name: 'into a storage of the program', pieceLength: 4 * blockLength, isPlain: true },
  {
    name: 'in pieces that are streamed into a storage of the program',
    pieceLength: 64 * blockLength,
    memoryLimit: 64 * blockLength,
    isPlain: true
  }
]
for (const { name, pieceLength, memoryLimit, isPlain } of ways) {
  test(`no padding is requested or counted: ${name}`, async (t) => {
    const bench = new Bench(t)
    const sample = sampleOf(pieceLength)
    const length = dataOf(pieceLength)
    const requested: { start: number; end: number }[] = []
    const seed = await listenAs(bench, sample, {
      answer: (peer, piece, offset, size) => {
        const start = piece * pieceLength + offset
        requested.push({ start, end: start + size })
        peer.wire.piece(piece, offset, peer.block(piece, offset, size))
      }
    })
    const left: number[] = []
    const tracker = await serve(bench, (request, response) => {
      left.push(Number(new URL(request.url ?? '', 'http://localhost').searchParams.get('left')))
      response.end(encode({ interval: 1800, peers: '' }))
    })
    const client = bench.client(memoryLimit === undefined ? {} : { memoryLimit })
    const storage = isPlain ? new Plain() : undefined
    const torrent = await client.add(sample.bytes, {
      trackers: [`${tracker}/announce`],
      ...(storage && { storage })
    })
    assert.deepEqual([torrent.length, torrent.downloaded, torrent.progress], [length, 0, 0])
    torrent.addPeer(seed.address)
    await torrent.whenDone()
    assert.deepEqual(
      [torrent.downloaded, torrent.progress, torrent.timeRemaining, torrent.received, torrent.status],
      [length, 1, 0, length, 'seeding']
    )
    const { files } = sample.metainfo
    for (const { start, end } of requested) {
      const inFile = files.some(
        ({ pad, offset, length: size }) => !pad && start >= offset && end <= offset + size
      )
      assert.ok(inFile, `${start} to ${end} is within a file`)
    }
    for (const file of torrent.files) {
      const bytes = sample.data.subarray(file.offset, file.offset + file.length)
      assert.ok(Buffer.from(await file.arrayBuffer()).equals(bytes), file.name)
    }
    if (storage === undefined) assert.equal(readFileSync(path.join(torrent.path, 'padded/b')).length, 100)
    else assert.ok(Buffer.from(sample.data).equals(storage.bytes))
    // Other clients may request padding.
    const { wire } = new EvilPeer(dial(bench, client.port), sample, { mute: true })
    await once(wire, 'handshake')
    wire.interested()
    await once(wire, 'unchoke')
    wire.request(1, 50, blockLength)
    const [piece, offset, data] = (await once(wire, 'piece')) as [number, number, Uint8Array]
    const start = pieceLength + 50
    assert.deepEqual([piece, offset], [1, 50])
    assert.ok(Buffer.from(sample.data.subarray(start, start + blockLength)).equals(data))
    await torrent.close()
    assert.equal(left[0], length)
    assert.equal(left.at(-1), 0)
  })
}

test('a piece of padding alone is verified from the start', async (t) => {
  const bench = new Bench(t)
  const own = 2 * blockLength
  const sample = paddedSample([['a', own], 2 * own, ['b', 5]], own)
  const requested = new Set<number>()
  const seed = await listenAs(bench, sample, {
    answer: (peer, piece, offset, size) => {
      requested.add(piece)
      peer.wire.piece(piece, offset, peer.block(piece, offset, size))
    }
  })
  const torrent = await bench.client().add(sample.bytes, { peers: [seed.address] })
  await torrent.whenDone()
  await until('all pieces to be here', () => torrent.pieces.every(({ state }) => state === 'verified'))
  assert.deepEqual([...requested].sort(), [0, 3])
  assert.deepEqual([torrent.downloaded, torrent.received, torrent.progress], [own + 5, own + 5, 1])
})

const pieceLength = 4 * blockLength
const length = dataOf(pieceLength)

/** A range, the pieces that it selects, and the pieces left when it is deselected from everything. */
const ranges: [string, (padded: number) => SelectItem, number[], number[]][] = [
  ['all of `torrent.length`', () => ({ start: 0, end: length }), [0, 1, 2, 3, 4], []],
  ['all with padding', (padded) => ({ start: 0, end: padded }), [0, 1, 2, 3, 4], []],
  ['from a file to the end', () => ({ start: 2 * pieceLength, end: length }), [2, 3, 4], [0, 1]],
  ['from behind `torrent.length` on', () => ({ start: 4 * pieceLength, end: length }), [4], [0, 1, 2, 3]],
  ['a file by its offset', () => ({ start: 0, end: pieceLength }), [0], [1, 2, 3, 4]]
]
for (const [name, range, pieces, rest] of ranges) {
  test(`a range selects the same pieces as without padding: ${name}`, () => {
    const layout = layoutOf(sampleOf(pieceLength).metainfo)
    const files = new TorrentFiles(layout, { select: 'none' }, undefined, { selected: () => {} } as never)
    const selected = (): number[] =>
      [...files.selection.pieces()].flatMap((priority, piece) => (priority > 0 ? [piece] : []))
    const item = range(layout.length)
    files.select(item, 4)
    assert.deepEqual(selected(), pieces)
    files.select({ start: 0, end: layout.dataLength }, 4)
    assert.deepEqual(selected(), [0, 1, 2, 3, 4])
    files.select(item, 0)
    assert.deepEqual(selected(), rest)
    files.select({ start: 0, end: layout.dataLength }, 0)
    assert.deepEqual(selected(), [])
  })
}

test('a range beyond the torrent, padding included, is refused', async (t) => {
  const bench = new Bench(t)
  const sample = sampleOf(pieceLength)
  const torrent = await bench.client().add(sample.bytes)
  for (const range of [
    { start: 0, end: sample.metainfo.length + 1 },
    { start: -1, end: length },
    { start: sample.metainfo.length, end: length }
  ])
    assert.throws(() => torrent.select(range), { code: 'ERR_TORRENT_SELECT' })
})

test('the blocks of a padded piece survive a restart', async (t) => {
  const bench = new Bench(t)
  // Block maps have a bit for padding, so they are longer than one byte here.
  const own = 16 * blockLength
  const sample = paddedSample([['a', 3 * blockLength + 100], 13 * blockLength - 100, ['b', 5]], own)
  const state = bench.folder()
  const data = bench.folder()
  let most = 2
  const answered: string[] = []
  const seed = await listenAs(bench, sample, {
    answer: (peer, piece, offset, size) => {
      if (most-- <= 0) return
      answered.push(`${piece} ${offset}`)
      peer.wire.piece(piece, offset, peer.block(piece, offset, size))
    }
  })
  const first = bench.client({ state, path: data })
  const begun = await first.add(sample.bytes, { select: [0], peers: [seed.address] })
  await until('two blocks to come', () => begun.received >= 2 * blockLength)
  await first.close()
  const before = [...answered]
  most = Number.POSITIVE_INFINITY
  const second = bench.client({ state, path: data })
  await second.restored()
  const torrent = await second.add(sample.bytes, { select: 'all', peers: [seed.address] })
  await torrent.whenDone()
  assert.equal(before.length, 2)
  assert.equal(new Set(answered).size, answered.length, 'no block came twice')
  assert.equal(torrent.downloaded, torrent.length)
  assert.equal(torrent.received, torrent.length - 2 * blockLength)
})
