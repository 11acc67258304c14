import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignFiles } from '../../lib/storage/foreign-files.ts'
import type { RecordTrust } from '../../lib/storage/record-seal.ts'
import type { ResumeRecord } from '../../lib/storage/resume-record.ts'
import type { FileStat } from '../../lib/storage/storage.ts'
import { layoutOf } from './contract.ts'

const layout = layoutOf(16384, [
  ['t/a', 100],
  ['t/b', 100],
  ['t/c', 0]
])
const seen: FileStat = { size: 100, mtimeNs: 5n }
const changed: FileStat = { size: 100, mtimeNs: 6n }
const base: ResumeRecord = {
  infoHash: 'ab'.repeat(20),
  clean: true,
  files: [seen, seen, undefined],
  verified: new Uint8Array(1),
  partial: new Map(),
  uploaded: 0,
  downloaded: 0,
  secondsActive: 0,
  created: [],
  peers: [],
  trackers: [],
  addedMs: 0,
  path: '/data'
}
const all = new Uint8Array([0xe0])
const none = new Uint8Array([0])

const cases: readonly (readonly [
  string,
  RecordTrust | undefined,
  Partial<ResumeRecord>,
  FileStat,
  boolean
])[] = [
  ['no record', undefined, {}, seen, true],
  ['a record of 0.1.0 that knows its time', 'unproven', {}, seen, false],
  ['a record of 0.1.0 that knows another time', 'unproven', {}, changed, true],
  ['an unproven record that names it as made', 'unproven', { created: ['t/a'] }, changed, true],
  ['an unproven record that names it as owned', 'unproven', { owned: all, clean: false }, changed, true],
  [
    'an unproven record that knows its time, and that it is not ours',
    'unproven',
    { owned: none },
    seen,
    true
  ],
  ['a trusted record that names it as made', 'trusted', { created: ['t/a'] }, changed, false],
  [
    'a trusted record of a crash that names it as owned',
    'trusted',
    { owned: all, clean: false },
    changed,
    false
  ],
  [
    'a sealed record of a crash that names it as owned',
    'sealed',
    { owned: all, clean: false },
    changed,
    false
  ],
  ['a trusted record of a clean stop, with another time', 'trusted', { owned: all }, changed, true],
  ['a trusted record of a clean stop, with its time', 'trusted', { owned: all }, seen, false],
  ['a trusted record that knows that it is not ours', 'trusted', { owned: none }, seen, true],
  ['a trusted record of another folder', 'trusted', { created: ['t/a'], path: '/other' }, changed, true],
  [
    'a trusted record of another folder that knows its time',
    'trusted',
    { owned: all, path: '/other' },
    seen,
    false
  ],
  ['a record of another torrent', 'trusted', { created: ['t/a'], files: [seen] }, seen, true],
  ['an empty file', undefined, {}, { size: 0, mtimeNs: 1n }, false]
]
for (const [what, trust, record, stat, expected] of cases) {
  test(`an existing file is ${expected ? 'not ' : ''}taken for the torrent's: ${what}`, () => {
    const before = trust === undefined ? undefined : { record: { ...base, ...record }, trust }
    const stats = { files: [stat, undefined, undefined], parts: undefined }
    assert.deepEqual(foreignFiles(layout, before, stats, '/data'), expected ? [0] : [])
  })
}
