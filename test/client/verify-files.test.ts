import assert from 'node:assert/strict'
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { readSource, type VerifyProgress, verifyFiles } from '../../lib/index.ts'
import type { Metainfo } from '../../lib/metainfo/metainfo.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { addressOf, Bench, type Sample } from '../torrent/bench.ts'
import { paddedSample } from '../torrent/padded.ts'

const pieceLength = 32768

async function film(t: TestContext): Promise<{ bench: Bench; sample: Sample }> {
  const bench = new Bench(t)
  // Pieces 0 to 3 belong to the film alone. Piece 4 has its end, the notes and the start of the sound.
  const sample = await bench.sample({
    'set/a.mkv': 4 * pieceLength + 100,
    'set/b.txt': 50,
    'set/empty': 0,
    'set/sub/c.mp3': 2 * pieceLength
  })
  return { bench, sample }
}

/** Changes one byte of a file. */
function spoilByte(file: string, at: number): void {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(file, bytes)
}

/** Returns every file and folder below a folder with everything that a write would change. */
function picture(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, ino } = statSync(path.join(folder, name))
      return `${name} ${size} ${mtimeMs} ${ino}`
    })
}

test('correct files are complete, and so is every piece', async (t) => {
  const { sample } = await film(t)
  const before = picture(sample.folder)
  const told: number[] = []
  const result = await verifyFiles(sample.metainfo, sample.folder, {
    onProgress: ({ checkedBytes, verifiedBytes, totalBytes }) => {
      assert.equal(checkedBytes, verifiedBytes)
      assert.equal(totalBytes, sample.data.length)
      told.push(checkedBytes)
    }
  })
  assert.equal(result.complete, true)
  assert.deepEqual(result.pieces, Array(7).fill(true))
  assert.deepEqual(result.errors, [])
  assert.deepEqual(
    result.files,
    sample.metainfo.files.map(({ path, length }) => ({ path, length, verifiedBytes: length, complete: true }))
  )
  assert.equal(told.length, 7)
  assert.equal(told.at(-1), sample.data.length)
  assert.deepEqual(picture(sample.folder), before)
})

const faults: readonly (readonly [
  string,
  (folder: string) => void,
  wrong: readonly number[],
  incomplete: readonly string[]
])[] = [
  [
    'a byte that differs',
    (folder) => spoilByte(path.join(folder, 'set/a.mkv'), pieceLength + 7),
    [1],
    ['a.mkv']
  ],
  [
    'a byte in a piece that three files share',
    (folder) => spoilByte(path.join(folder, 'set/b.txt'), 3),
    [4],
    ['a.mkv', 'b.txt', 'c.mp3']
  ],
  [
    'a file that is too short',
    (folder) => truncateSync(path.join(folder, 'set/sub/c.mp3'), pieceLength * 2 - 1),
    [6],
    ['c.mp3']
  ],
  [
    'a folder that is missing',
    (folder) => rmSync(path.join(folder, 'set/sub'), { recursive: true }),
    [4, 5, 6],
    ['a.mkv', 'b.txt', 'c.mp3']
  ],
  ['an empty file that is missing', (folder) => rmSync(path.join(folder, 'set/empty')), [], ['empty']],
  [
    'everything missing',
    (folder) => rmSync(path.join(folder, 'set'), { recursive: true }),
    [0, 1, 2, 3, 4, 5, 6],
    ['a.mkv', 'b.txt', 'c.mp3', 'empty']
  ]
]
for (const [title, spoil, wrong, incomplete] of faults) {
  test(`${title} shows in its pieces and files, and nothing is written`, async (t) => {
    const { sample } = await film(t)
    spoil(sample.folder)
    const before = picture(sample.folder)
    const result = await verifyFiles(sample.metainfo, sample.folder)
    assert.equal(result.complete, false)
    assert.deepEqual(
      result.pieces.flatMap((ok, piece) => (ok ? [] : [piece])),
      wrong
    )
    assert.deepEqual(
      result.files.flatMap((file) => (file.complete ? [] : [path.basename(file.path)])).sort(),
      incomplete
    )
    const right = result.pieces.reduce(
      (sum, ok, piece) => sum + (ok ? (piece === 6 ? 150 : pieceLength) : 0),
      0
    )
    assert.equal(
      result.files.reduce((sum, { verifiedBytes }) => sum + verifiedBytes, 0),
      right
    )
    assert.deepEqual(result.errors, [])
    assert.deepEqual(picture(sample.folder), before)
  })
}

test('a folder that does not exist holds nothing, and is not made', async (t) => {
  const { bench, sample } = await film(t)
  const folder = path.join(bench.folder(), 'none')
  const result = await verifyFiles(sample.metainfo, folder)
  assert.ok(result.pieces.every((ok) => !ok))
  assert.deepEqual(readdirSync(path.dirname(folder)), [])
})

test('an unreadable file gives one error, which names it', async (t) => {
  const { sample } = await film(t)
  const file = path.join(sample.folder, 'set/a.mkv')
  // Root can read every file, so a folder replaces the unreadable file.
  rmSync(file)
  mkdirSync(file)
  const { errors, pieces, files } = await verifyFiles(sample.metainfo, sample.folder)
  assert.deepEqual(pieces, [false, false, false, false, false, true, true])
  assert.equal(files[0]?.complete, false)
  assert.equal(errors.length, 1)
  assert.equal(errors[0]?.details['path'], file)
})

test('a signal ends the check with its reason, before and during hashing', async (t) => {
  const { sample } = await film(t)
  const reason = new Error('enough')
  await assert.rejects(
    verifyFiles(sample.metainfo, sample.folder, { signal: AbortSignal.abort(reason) }),
    reason
  )
  const controller = new AbortController()
  const { signal } = controller
  const onProgress = (): void => controller.abort(reason)
  await assert.rejects(verifyFiles(sample.metainfo, sample.folder, { signal, onProgress }), reason)
})

test('bytes of an unwanted file in the parts file count for the pieces and not for the file', async (t) => {
  const { bench, sample } = await film(t)
  const { client: seed } = await bench.seeder(sample)
  const folder = bench.folder()
  const client = bench.client()
  const torrent = await client.add(sample.bytes, { path: folder, select: [0], peers: [addressOf(seed)] })
  await torrent.whenDone()
  await client.close()
  // A torn tail, as after a crash; a client cuts it off.
  appendFileSync(path.join(folder, '.piecewise', `${torrent.infoHash}.parts`), 'torn')
  const before = picture(folder)
  const { pieces, files, complete } = await verifyFiles(sample.metainfo, folder)
  assert.deepEqual(picture(folder), before)
  assert.deepEqual(pieces, [true, true, true, true, true, false, false])
  assert.deepEqual(
    files.map((file) => file.complete),
    [true, false, false, false]
  )
  assert.equal(complete, false)
})

test('data that another program stored under the original names is found under them', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 })
  const name = 'fi\u200blm.mkv'
  const info = { length: 100_000, name, 'piece length': pieceLength, pieces: sample.metainfo.pieces }
  const metainfo = parseTorrent(encode({ info }))
  assert.notEqual(metainfo.files[0]?.path, name)
  const folder = bench.folder()
  cpSync(sample.root, path.join(folder, name))
  const { complete, files } = await verifyFiles(metainfo, folder)
  assert.equal(complete, true)
  assert.equal(files[0]?.path, name)
})

test('a magnet link and a torrent without SHA-1 pieces are refused', async (t) => {
  const { sample } = await film(t)
  const magnet = (await readSource('c9e15763f722f23e98a29decdfae341b98d53056')) as Metainfo
  const refused = { code: 'ERR_CLIENT_OPTION', message: /must be the result of parseTorrent/ }
  await assert.rejects(verifyFiles(magnet, sample.folder), refused)
  const { v1: _, ...hashes } = sample.metainfo.infoHashes
  const unsupported = { ...sample.metainfo, infoHashes: { ...hashes, v2: new Uint8Array(32) } }
  await assert.rejects(verifyFiles(unsupported, sample.folder), { code: 'ERR_METAINFO_UNSUPPORTED' })
})

test('padding is neither read nor counted', async (t) => {
  const folder = new Bench(t).folder()
  const sample = paddedSample([['a', 100], pieceLength - 100, ['b', pieceLength]], pieceLength)
  mkdirSync(path.join(folder, 'padded'))
  writeFileSync(path.join(folder, 'padded/a'), sample.data.subarray(0, 100))
  writeFileSync(path.join(folder, 'padded/b'), sample.data.subarray(pieceLength))
  let last: VerifyProgress | undefined
  const result = await verifyFiles(sample.metainfo, folder, {
    onProgress: (progress) => {
      last = progress
    }
  })
  const totalBytes = 100 + pieceLength
  assert.deepEqual(last, { checkedBytes: totalBytes, verifiedBytes: totalBytes, totalBytes })
  assert.deepEqual(
    result.files.map(({ path, verifiedBytes }) => [path, verifiedBytes]),
    [
      ['padded/a', 100],
      ['padded/b', pieceLength]
    ]
  )
  assert.deepEqual([result.complete, result.pieces], [true, [true, true]])
})
