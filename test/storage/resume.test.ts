import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pieceTrust, trust } from '../../lib/storage/resume-check.ts'
import { decodeResume, encodeResume, maxPeers, type ResumeRecord } from '../../lib/storage/resume-record.ts'
import { ResumeStore } from '../../lib/storage/resume-store.ts'
import type { FileStat, StorageStats } from '../../lib/storage/storage.ts'
import { nodeFs, type StorageFs } from '../../lib/storage/storage-fs.ts'
import { fc } from '../support/fast-check.ts'
import { layoutOf } from './contract.ts'

const infoHash = '0123456789abcdef0123456789abcdef01234567'
const full: ResumeRecord = {
  infoHash,
  clean: true,
  files: [{ size: 20000, mtimeNs: 1_700_000_000_123_456_789n }, undefined, { size: 0, mtimeNs: -5n }],
  parts: { size: 99, mtimeNs: 7n },
  verified: new Uint8Array([0xf0, 0x80]),
  partial: new Map([
    [9, new Uint8Array([0xa0])],
    [3, new Uint8Array([1, 2, 3])]
  ]),
  uploaded: 2 ** 50,
  downloaded: 12,
  secondsActive: 3.5,
  selection: {
    priorities: [0, 1, 7],
    ranges: [
      { start: 5, end: 2 ** 45 },
      { start: 0, end: 1, priority: 7 }
    ]
  },
  spelling: '0.1',
  created: ['t/ä', 't/', './'],
  peers: ['127.0.0.1:6881', '[::1]:1'],
  trackers: ['udp://127.0.0.1:80'],
  addedMs: 1_700_000_000_000,
  path: '/somewhere/else',
  completed: true,
  paused: true,
  private: true
}
const {
  parts: _,
  selection: __,
  path: ___,
  paused: ____,
  private: _____,
  completed: ______,
  spelling: _______,
  ...least
} = full
const torn = { name: 'TorrentError', code: 'ERR_STORAGE_RESUME' }

test('a record survives encoding and decoding', () => {
  assert.deepEqual(decodeResume(encodeResume(full)), full)
  assert.deepEqual(decodeResume(encodeResume(least)), least)
  const peers = Array.from({ length: 1000 }, (_, index) => `127.0.0.1:${index + 1}`)
  assert.deepEqual(decodeResume(encodeResume({ ...full, peers })).peers, peers.slice(0, maxPeers))
})

test('a record that is torn or changed at any byte is refused', () => {
  const bytes = encodeResume(full)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeResume(bytes.subarray(0, length)), torn)
    const changed = Uint8Array.from(bytes)
    changed[length] = (changed[length] ?? 0) ^ 0x20
    assert.throws(() => decodeResume(changed), torn)
    assert.throws(() => decodeResume(bytes.map((byte, index) => (index < length ? byte : 0))), torn)
  }
  assert.throws(() => decodeResume(new Uint8Array((64 << 20) + 1)), torn)
})

test('a record that nests very deep is refused', () => {
  const body = `{"files":${'['.repeat(500_000)}${']'.repeat(500_000)}}`
  const sum = createHash('sha256').update(body).digest('hex')
  assert.throws(() => decodeResume(Buffer.from(`piecewise resume 1 ${sum}\n${body}`)), torn)
})

test('well-signed nonsense is refused and never crashes', () => {
  const sign = (body: string): Uint8Array => {
    return Buffer.from(`piecewise resume 1 ${createHash('sha256').update(body).digest('hex')}\n${body}`)
  }
  const [, body = ''] = Buffer.from(encodeResume(full)).toString().split('\n')
  const fields: Record<string, unknown> = JSON.parse(body)
  assert.deepEqual(decodeResume(sign(body)), full)
  const later = decodeResume(sign(JSON.stringify({ ...fields, spelling: 'of a later version' })))
  assert.equal(later.spelling, undefined)
  for (const [name, value] of [
    ['infoHash', '../../etc'],
    ['files', { length: 1 }],
    ['files', [[1]]],
    ['files', [[-1, '5']]],
    ['files', [[1, '5n']]],
    ['verified', 7],
    ['partial', [[1.5, '']]],
    ['partial', [7]],
    ['uploaded', -1],
    ['downloaded', '7'],
    ['secondsActive', null],
    ['addedMs', 1e300],
    ['created', [1]],
    ['peers', 'x'],
    ['trackers', [null]],
    ['selection', { priorities: [] }],
    ['selection', 5],
    ['selection', { priorities: [], ranges: [[0]] }],
    ['parts', ['x']]
  ] as const) {
    assert.throws(
      () => decodeResume(sign(JSON.stringify({ ...fields, [name]: value }))),
      torn,
      `${name} ${value}`
    )
  }
  fc.assert(
    fc.property(fc.json(), (json) => {
      assert.throws(() => decodeResume(sign(json)), torn)
    }),
    { numRuns: 200 }
  )
  assert.throws(() => decodeResume(sign('{"infoHash"')), torn)
})

/** Runs a test with a folder of its own. */
function storeTest(title: string, body: (folder: string) => Promise<void>): void {
  test(title, async () => {
    const base = mkdtempSync(join(tmpdir(), 'piecewise-resume-'))
    try {
      await body(join(base, 'state'))
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
}

storeTest('records and torrents are stored and removed', async (folder) => {
  const store = new ResumeStore({ folder, onWarning: (warning) => assert.fail(warning.message) })
  assert.equal(await store.load(infoHash), undefined)
  await Promise.all([1, 2, 3].map((uploaded) => store.save({ ...full, uploaded })))
  await store.saveTorrent(infoHash, new Uint8Array([1, 2]))
  assert.equal((await store.load(infoHash))?.record.uploaded, 3)
  assert.deepEqual(await store.loadTorrent(infoHash), new Uint8Array([1, 2]))
  assert.deepEqual(readdirSync(folder).sort(), [`${infoHash}.resume`, `${infoHash}.torrent`])
  if (process.platform !== 'win32') {
    assert.equal(statSync(folder).mode & 0o777, 0o700)
    assert.equal(statSync(join(folder, `${infoHash}.resume`)).mode & 0o777, 0o600)
  }
  await store.remove(infoHash)
  await store.remove(infoHash)
  await store.close()
  assert.deepEqual(readdirSync(folder), [])
  for (const bad of ['', '../x', infoHash.toUpperCase().replaceAll('0', 'A')]) {
    await assert.rejects(store.load(bad), torn)
  }
})

storeTest('a torn, foreign or huge record counts as absent, with a warning', async (folder) => {
  const warnings: Error[] = []
  const store = new ResumeStore({ folder, onWarning: (warning) => warnings.push(warning) })
  const path = join(folder, `${infoHash}.resume`)
  mkdirSync(folder)
  const other = encodeResume({ ...full, infoHash: infoHash.replaceAll('0', 'f') })
  for (const bytes of [new Uint8Array(0), encodeResume(full).subarray(0, 100), other, Buffer.from('{}')]) {
    writeFileSync(path, bytes)
    assert.equal(await store.load(infoHash), undefined)
    assert.equal(await new ResumeStore({ folder }).load(infoHash), undefined)
  }
  rmSync(path)
  mkdirSync(path)
  assert.equal(await store.load(infoHash), undefined)
  assert.equal(warnings.length, 5)
  for (const warning of warnings) assert.match(warning.message, /\.resume is ignored: /)
})

storeTest('a crash at any step of saving leaves the old record', async (folder) => {
  await new ResumeStore({ folder }).save(full)
  const fault = (code: string): Promise<never> => Promise.reject(Object.assign(new Error(code), { code }))
  const broken: Partial<StorageFs>[] = [
    { open: () => fault('ENOSPC') },
    { rename: () => fault('EIO') },
    { mkdir: () => fault('EROFS') },
    {
      open: async (path, flags, mode) => {
        const handle = await nodeFs.open(path, flags, mode)
        return {
          read: (...args) => handle.read(...args),
          truncate: (length) => handle.truncate(length),
          stat: (options) => handle.stat(options),
          sync: () => handle.sync(),
          datasync: () => fault('ENOSPC'),
          close: () => handle.close(),
          writev: (buffers, position) =>
            handle.writev([buffers[0]?.subarray(0, 50) ?? new Uint8Array(0)], position)
        }
      }
    }
  ]
  for (const part of broken) {
    const store = new ResumeStore({ folder, fs: { ...nodeFs, ...part } })
    await assert.rejects(store.save({ ...full, uploaded: 1 }), /^TorrentError: /)
    assert.deepEqual(await new ResumeStore({ folder }).load(infoHash), { record: full, trust: 'trusted' })
    assert.deepEqual(readdirSync(folder), [`${infoHash}.resume`])
  }
  // A temporary file left by a crash blocks nothing.
  writeFileSync(join(folder, `${infoHash}.resume.tmp`), 'torn')
  await new ResumeStore({ folder }).save({ ...full, uploaded: 1 })
  assert.deepEqual(readdirSync(folder), [`${infoHash}.resume`])
  assert.ok(readFileSync(join(folder, `${infoHash}.resume`)).length > 100)
})

// Three files over six pieces: a has 0, 1 and half of 2; b the rest of 2, then 3; c 4 and 5, after a pad.
const layout = layoutOf(16384, [
  ['a', 40000],
  ['b', 20000],
  ['p', 5536, 'pad'],
  ['c', 30000]
])
const at = (size: number, mtimeNs: bigint = 1n): FileStat => ({ size, mtimeNs })
const whole: StorageStats = { files: [at(40000), at(20000), undefined, at(30000)], parts: undefined }
const record = (part: Partial<ResumeRecord> = {}): ResumeRecord => ({
  ...least,
  files: whole.files,
  verified: new Uint8Array([0b11011100]),
  partial: new Map(),
  ...part
})

for (const [title, saved, stats, expected] of [
  ['clean and untouched', record(), whole, 'stored stored missing stored stored stored'],
  ['unclean', record({ clean: false }), whole, 'unproven unproven unchecked unproven unproven unproven'],
  ['no record', undefined, whole, 'unchecked unchecked unchecked unchecked unchecked unchecked'],
  [
    'no record, short and missing files',
    undefined,
    { ...whole, files: [at(20000), undefined, undefined, at(30000)] },
    'unchecked missing missing missing unchecked unchecked'
  ],
  [
    'clean, but one file has another time',
    record(),
    { ...whole, files: [at(40000), at(20000, 2n), undefined, at(30000)] },
    'stored stored unchecked unchecked stored stored'
  ],
  [
    'clean, but one file was cut',
    record(),
    { ...whole, files: [at(40000), at(20000), undefined, at(20000)] },
    'stored stored missing stored unchecked missing'
  ],
  [
    'clean, but one file is gone',
    record(),
    { ...whole, files: [undefined, at(20000), undefined, at(30000)] },
    'missing missing missing stored stored stored'
  ],
  [
    'unclean, and a file is short',
    record({ clean: false }),
    { ...whole, files: [at(17000), at(20000), undefined, at(30000)] },
    'unproven missing missing unproven unproven unproven'
  ],
  [
    'a record of another torrent',
    record({ files: [] }),
    whole,
    'unchecked unchecked unchecked unchecked unchecked unchecked'
  ],
  [
    'a record of other pieces',
    record({ verified: new Uint8Array(9) }),
    whole,
    'unchecked unchecked unchecked unchecked unchecked unchecked'
  ],
  [
    'kept bytes of an unwanted file',
    record({
      files: [at(40000), undefined, undefined, at(30000)],
      parts: at(9),
      verified: new Uint8Array([0xff])
    }),
    {
      files: [at(40000), undefined, undefined, at(30000)],
      parts: { stat: at(9), ranges: [{ start: 40000, end: 49152 }] }
    },
    'stored stored stored missing stored stored'
  ],
  [
    'kept bytes that changed',
    record({
      files: [at(40000), undefined, undefined, at(30000)],
      parts: at(9),
      verified: new Uint8Array([0xff])
    }),
    {
      files: [at(40000), undefined, undefined, at(30000)],
      parts: { stat: at(10), ranges: [{ start: 40000, end: 49152 }] }
    },
    'stored stored unchecked missing stored stored'
  ]
] as const satisfies readonly (readonly [string, ResumeRecord | undefined, StorageStats, string])[]) {
  test(`trust: ${title}`, () => {
    const names = new Map(Object.entries(pieceTrust).map(([name, code]) => [code, name]))
    const { pieces } = trust(layout, saved, stats)
    assert.equal([...pieces].map((code) => names.get(code)).join(' '), expected)
  })
}

test('trust: block maps are kept only with a clean record and untouched files', () => {
  const partial = new Map([
    [2, new Uint8Array([0x80])],
    [0, new Uint8Array([0x80])],
    [77, new Uint8Array([0x80])]
  ])
  assert.deepEqual([...trust(layout, record({ partial }), whole).partial.keys()], [2])
  assert.equal(trust(layout, record({ partial, clean: false }), whole).partial.size, 0)
  const touched = { ...whole, files: [at(40000), at(20000, 2n), undefined, at(30000)] }
  assert.equal(trust(layout, record({ partial }), touched).partial.size, 0)
  const wrong = new Map([[2, new Uint8Array(2)]])
  assert.equal(trust(layout, record({ partial: wrong }), whole).partial.size, 0)
})
