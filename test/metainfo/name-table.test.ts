import assert from 'node:assert/strict'
import test from 'node:test'
import { NameTable } from '../../lib/metainfo/name-table.ts'

test('names are numbered by folder, each once', () => {
  const table = new NameTable()
  const known = new Map<string, number>()
  for (let n = 0; n < 30_000; n++) {
    const folder = n % 97
    const name = `${n % 1009}é`
    const key = `${folder}/${name}`
    assert.equal(table.has(folder, name), known.has(key))
    const entry = table.add(folder, name)
    assert.equal(entry, known.get(key) ?? known.size)
    known.set(key, entry)
    assert.deepEqual([table.folder(entry), table.name(entry)], [folder, name])
  }
  assert.equal(table.size, known.size)
  for (const [key, entry] of known) {
    const [folder, name = ''] = key.split('/')
    assert.equal(table.add(Number(folder), name), entry)
  }
})

test('names with equal values of a common hash are told apart', () => {
  const table = new NameTable()
  // Equal under the hash that multiplies by 31.
  const names = Array.from({ length: 2 ** 12 }, (_, n) =>
    Array.from({ length: 12 }, (_, bit) => ((n >> bit) & 1 ? 'Aa' : 'BB')).join('')
  )
  for (const name of names) table.add(0, name)
  assert.equal(table.size, names.length)
})
