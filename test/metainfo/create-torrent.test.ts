import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { BencodeDict } from '../../lib/bencode/bencode-dict.ts'
import { decodeDetailed } from '../../lib/bencode/decode.ts'
import type { CreateOptions } from '../../lib/metainfo/create-options.ts'
import { createFromScan, createTorrent } from '../../lib/metainfo/create-torrent.ts'
import { parseTorrent } from '../../lib/metainfo/parse-torrent.ts'
import { scanFiles } from '../../lib/metainfo/scan-files.ts'
import { version } from '../../lib/util/version.ts'

let home = ''
let folder = ''
const contents = {
  a: randomBytes(40000),
  'sub/b': randomBytes(5),
  'sub/empty': Buffer.alloc(0),
  'z.bin': randomBytes(9_000_000)
}

before(() => {
  home = mkdtempSync(path.join(tmpdir(), 'piecewise-create-'))
  folder = path.join(home, 'shared')
  mkdirSync(path.join(folder, 'sub'), { recursive: true })
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(path.join(folder, name), bytes)
})
after(() => rmSync(home, { recursive: true, force: true }))

function sha1(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

test('a folder survives create and parse', async () => {
  const bytes = await createTorrent(folder, {
    trackers: ['http://a/announce', ['udp://b:1', 'udp://c:1']],
    webSeeds: ['https://w/'],
    private: true,
    comment: 'for you',
    creationDate: new Date(1700000000999),
    source: 'here'
  })
  assert.deepEqual(decodeDetailed(bytes).irregularities, [])
  const metainfo = parseTorrent(bytes)
  assert.equal(metainfo.name, 'shared')
  assert.equal(metainfo.pieceLength, 16384)
  assert.deepEqual(metainfo.announce, [['http://a/announce'], ['udp://b:1', 'udp://c:1']])
  assert.deepEqual(metainfo.webSeeds, ['https://w/'])
  assert.deepEqual(
    [metainfo.private, metainfo.comment, metainfo.createdBy],
    [true, 'for you', `piecewise/${version}`]
  )
  assert.deepEqual(metainfo.creationDate, new Date(1700000000000))
  assert.deepEqual(
    metainfo.files.map(({ path, length }) => [path, length]),
    [
      ['shared/a', 40000],
      ['shared/sub/b', 5],
      ['shared/sub/empty', 0],
      ['shared/z.bin', 9_000_000]
    ]
  )
  const whole = Buffer.concat(Object.values(contents))
  for (let at = 0; at < whole.length; at += 16384) {
    const digest = metainfo.pieces.subarray((at / 16384) * 20, (at / 16384) * 20 + 20)
    assert.equal(Buffer.from(digest).toString('hex'), sha1(whole.subarray(at, at + 16384)))
  }
})

test('a single file', async () => {
  const metainfo = parseTorrent(await createTorrent(path.join(folder, 'a'), { pieceLength: 65536 }))
  assert.deepEqual([metainfo.singleFile, metainfo.name, metainfo.length], [true, 'a', 40000])
  assert.equal(Buffer.from(metainfo.pieces).toString('hex'), sha1(contents.a))
  assert.ok(Math.abs(Date.now() - Number(metainfo.creationDate)) < 60_000)
})

test('the same files give the same bytes', async () => {
  const options: CreateOptions = { creationDate: false, createdBy: false }
  const bytes = await createTorrent(folder, options)
  assert.deepEqual(await createTorrent([folder], options), bytes)
  const value = decodeDetailed(bytes).value
  assert.ok(value instanceof BencodeDict)
  assert.deepEqual([...value.keys()], ['info'])
})

test('source and private change the info hash, trackers do not', async () => {
  const hashOf = async (options: CreateOptions): Promise<string> =>
    Buffer.from(
      parseTorrent(await createTorrent(path.join(folder, 'a'), options)).infoHashes.v1 ?? ''
    ).toString('hex')
  const hashes = await Promise.all(
    [{}, { trackers: ['http://t/'] }, { source: 'x' }, { private: true }].map(hashOf)
  )
  assert.equal(hashes[0], hashes[1])
  assert.equal(new Set(hashes).size, 3)
})

test('entries of a scan are those of the torrent', async () => {
  const scan = await scanFiles(folder)
  assert.deepEqual(
    parseTorrent(await createFromScan(scan)).files,
    scan.files.map(({ entry }) => entry)
  )
})

test('progress grows to the end', async () => {
  const seen: number[] = []
  await createTorrent(folder, {
    pieceLength: 2 ** 20,
    onProgress: ({ hashedBytes, totalBytes }) => {
      assert.equal(totalBytes, 9_040_005)
      seen.push(hashedBytes)
    }
  })
  assert.equal(seen.length, 9)
  assert.deepEqual(
    seen,
    [...seen].sort((a, b) => a - b)
  )
  assert.equal(seen.at(-1), 9_040_005)
})

const sizes: [number, number][] = [
  [1, 2 ** 14],
  [2000 * 2 ** 14, 2 ** 14],
  [2000 * 2 ** 14 + 1, 2 ** 15],
  [50 * 2 ** 30, 2 ** 25]
]
for (const [length, pieceLength] of sizes) {
  test(`${length} bytes are divided into pieces of at most ${pieceLength}`, async () => {
    const file = path.join(home, 'sparse')
    writeFileSync(file, '')
    truncateSync(file, length)
    const scan = await scanFiles(file)
    const enough = new AbortController()
    let divided = 0
    const onProgress = ({ hashedBytes }: { hashedBytes: number }): void => {
      divided = hashedBytes
      enough.abort()
    }
    await createFromScan(scan, { onProgress, signal: enough.signal }).catch(() => {})
    assert.equal(divided, Math.min(length, pieceLength, 2 ** 24))
  })
}

const refused: [string, CreateOptions, RegExp][] = [
  ['a piece length that is no power of two', { pieceLength: 100_000 }, /pieceLength .* not 100000/],
  ['a piece length too small', { pieceLength: 8192 }, /not 8192/],
  ['a piece length too great', { pieceLength: 2 ** 30 }, /not 1073741824/],
  ['a fraction', { pieceLength: 0.5 }, /not 0\.5/],
  ['a tracker that is no URL', { trackers: ['http://a', ['nonsense']] }, /trackers holds 'nonsense'/],
  ['a web seed that is no URL', { webSeeds: ['/x'] }, /webSeeds holds '…'/],
  ['a date that is none', { creationDate: new Date(Number.NaN) }, /creationDate/]
]
for (const [what, options, message] of refused) {
  test(`refuses ${what}`, async () => {
    await assert.rejects(createTorrent(folder, options), { code: 'ERR_METAINFO_CREATE', message })
  })
}

test('refuses more pieces than torrents may have', async () => {
  const file = path.join(home, 'huge')
  writeFileSync(file, '')
  truncateSync(file, 2 ** 35 + 1)
  await assert.rejects(createTorrent(file, { pieceLength: 16384 }), {
    code: 'ERR_METAINFO_CREATE',
    message: /2097153/
  })
})

test('the error names a file that shrinks meanwhile', async () => {
  const file = path.join(home, 'shrinking')
  writeFileSync(file, new Uint8Array(50_000))
  const scan = await scanFiles(file)
  truncateSync(file, 40_000)
  await assert.rejects(createFromScan(scan), { code: 'ERR_METAINFO_CREATE', message: /shrinking/ })
  rmSync(file)
  mkdirSync(file)
  await assert.rejects(createFromScan(scan), { code: 'ERR_METAINFO_CREATE', message: /shrinking.*EISDIR/ })
})

test('an abort ends the work with its reason', async () => {
  const abort = new AbortController()
  const reason = new Error('enough')
  const work = createTorrent(folder, { signal: abort.signal, onProgress: () => abort.abort(reason) })
  await assert.rejects(work, reason)
})
