// Test data: made anew from a seed each time, and compared byte for byte.
import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** Makes a temporary folder that programs of other users may enter, with a function that removes it. */
export function temporaryFolder(label: string): { folder: string; remove: () => void } {
  const folder = mkdtempSync(path.join(os.tmpdir(), `piecewise-${label}-`))
  chmodSync(folder, 0o755)
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }) }
}

/** Returns an endless generator of random-looking bytes that depend on the seed alone. */
function generator(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return (length) => cipher.update(Buffer.alloc(length))
}

/** Writes one file of pseudo-random bytes. */
export function writeRandomFile(file: string, length: number, seed: string): void {
  mkdirSync(path.dirname(file), { recursive: true })
  const next = generator(seed)
  const handle = openSync(file, 'w')
  for (let left = length; left > 0; ) {
    const chunk = next(Math.min(left, 4 << 20))
    writeSync(handle, chunk)
    left -= chunk.length
  }
  closeSync(handle)
}

/** Names that are legal in torrents and on Linux, and have broken programs before. */
const unusualNames: readonly string[] = [
  'with spaces  and more .txt',
  '.hidden',
  '..two-dots',
  "single'quote",
  'percent%20sign%',
  '100%.txt',
  'semi;colon&ampersand',
  'dollar$HOME`tick`',
  '[brackets]{braces}(parentheses)',
  'plus+equals=at@comma,',
  '-leading-dash',
  '--help',
  'näïve-ünïcödé.txt',
  '日本語のファイル名.txt',
  'عربي.txt',
  '🎬 film 🍿.mkv',
  'a',
  `${'long'.repeat(50)}.txt`,
  `${'日'.repeat(66)}`,
  'desktop.ini',
  'UPPER.TXT',
  'exclaim!.txt'
]

/** Names that Linux accepts, and that Windows-aware programs write differently. */
const harshNames: readonly string[] = [
  ' leading space',
  'double"quote',
  'hash#question?.txt',
  'star*pipe|less<greater>',
  'colon:tilde~caret^',
  'CON',
  'nul.txt'
]

/**
 * Writes a folder of 500 files: empty, one byte, around the piece size, deep and oddly named. `harsh` adds
 * names that not every program keeps. Returns its length.
 */
export function writeManyFiles(folder: string, seed: string, harsh: boolean): number {
  const next = generator(seed)
  const names = harsh ? [...unusualNames, ...harshNames] : unusualNames
  const paths: string[] = names.map((name) => path.join('odd names', name))
  paths.push(path.join(...Array.from({ length: 20 }, (_, depth) => `deep-${depth}`), 'bottom'))
  paths.push(path.join('.hidden folder', '. x', 'in dots'))
  for (let index = 0; paths.length < 500; index++) {
    paths.push(path.join(`folder ${index % 17}`, `sub-${index % 5}`, `file-${index}`))
  }
  const lengths = [0, 1, 5, 16383, 16384, 16385, 100_000, 262_144, 262_143, 400_001]
  let total = 0
  paths.forEach((relative, index) => {
    const file = path.join(folder, relative)
    mkdirSync(path.dirname(file), { recursive: true })
    const length = lengths[index % lengths.length] ?? 0
    writeFileSync(file, next(length))
    total += length
  })
  return total
}

/**
 * Fails with the first difference when `actual` is not the same file, or tree of files, as `expected`.
 * `emptyToo` is false for programs that omit empty files.
 */
export function assertSameTree(actual: string, expected: string, emptyToo = true): void {
  if (statSync(expected).isFile()) {
    assertSameFile(actual, expected)
    return
  }
  const list = (folder: string) =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
      .sort()
  const names = list(expected)
  const found = list(actual)
  const missing = names.filter(
    (name) => !found.includes(name) && (emptyToo || statSync(path.join(expected, name)).size > 0)
  )
  const strange = found.filter((name) => !names.includes(name))
  assert.deepEqual({ missing, strange }, { missing: [], strange: [] }, `the files of ${actual}`)
  for (const name of found) assertSameFile(path.join(actual, name), path.join(expected, name))
}

function assertSameFile(actual: string, expected: string): void {
  assert.ok(existsSync(actual), `${actual} is missing`)
  const length = statSync(expected).size
  assert.equal(statSync(actual).size, length, `length of ${actual}`)
  const [one, other] = [openSync(actual, 'r'), openSync(expected, 'r')]
  try {
    const [left, right] = [Buffer.allocUnsafe(1 << 20), Buffer.allocUnsafe(1 << 20)]
    for (let at = 0; at < length; at += left.length) {
      const got = left.subarray(0, readSync(one, left, 0, left.length, at))
      const wanted = right.subarray(0, readSync(other, right, 0, right.length, at))
      if (!got.equals(wanted)) assert.fail(`${actual} differs from ${expected} after byte ${at}`)
    }
  } finally {
    closeSync(one)
    closeSync(other)
  }
}

/** Writes a copy of a torrent with this tracker as its only one; the info dictionary stays unchanged. */
export function writeWithTracker(torrentPath: string, url: string, outPath: string): void {
  const bytes = readFileSync(torrentPath)
  const at = bytes.indexOf('4:infod')
  if (at < 0) throw new Error(`${torrentPath} has no info dictionary`)
  // Keys are sorted and these torrents have none after "info".
  const info = bytes.subarray(at, bytes.length - 1)
  writeFileSync(
    outPath,
    Buffer.concat([Buffer.from(`d8:announce${Buffer.byteLength(url)}:${url}`), info, Buffer.from('e')])
  )
}

/** Writes a torrent of one byte that names a DHT node (`host:port`). */
export function writeTorrentOfNode(node: string, outPath: string): void {
  const info = `d6:lengthi1e4:name4:node12:piece lengthi16384e6:pieces20:${'-'.repeat(20)}e`
  writeFileSync(outPath, `d4:info${info}e`)
  writeWithNode(outPath, node, outPath)
}

/** Writes a copy of a torrent that names a DHT node (`host:port`) and no tracker. */
export function writeWithNode(torrentPath: string, node: string, outPath: string): void {
  const bytes = readFileSync(torrentPath)
  const at = bytes.indexOf('4:infod')
  if (at < 0) throw new Error(`${torrentPath} has no info dictionary`)
  writeFileSync(outPath, withNode(Buffer.concat([Buffer.from('d'), bytes.subarray(at)]), node))
}

/** Returns a torrent, whose last key is "info", with an added DHT node (`host:port`). */
export function withNode(torrent: Uint8Array, node: string): Uint8Array {
  const [host = '', port] = node.split(':')
  const nodes = `5:nodesll${host.length}:${host}i${port}eeee`
  return Buffer.concat([torrent.subarray(0, -1), Buffer.from(nodes)])
}

/** Returns the v1 info hash in hex of a torrent whose last key is "info". */
export function infoHashOf(torrentPath: string): string {
  const bytes = readFileSync(torrentPath)
  const at = bytes.indexOf('4:infod') + '4:info'.length
  return createHash('sha1')
    .update(bytes.subarray(at, bytes.length - 1))
    .digest('hex')
}
