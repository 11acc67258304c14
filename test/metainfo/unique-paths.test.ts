import assert from 'node:assert/strict'
import test from 'node:test'
import { UniquePaths, uniquePaths } from '../../lib/metainfo/unique-paths.ts'
import { fc } from '../support/fast-check.ts'

const unique: [string, string[], string[]][] = [
  ['leaves different paths alone', ['a/b', 'a/c', 'd'], ['a/b', 'a/c', 'd']],
  ['renames a repeated file', ['a.txt', 'a.txt', 'a.txt'], ['a.txt', 'a.1.txt', 'a.2.txt']],
  ['renames without an extension', ['.rc', '.rc', 'x', 'x'], ['.rc', '.rc.1', 'x', 'x.1']],
  ['ignores case', ['Readme.md', 'README.MD'], ['Readme.md', 'README.1.MD']],
  ['ignores case in folders', ['Dir/a', 'dir/A'], ['Dir/a', 'dir/A.1']],
  ['ignores composition', ['\u00e9', 'e\u0301'], ['\u00e9', 'e\u0301.1']],
  ['treats both forms of sigma as equal', ['\u03c3', '\u03c2'], ['\u03c3', '\u03c2.1']],
  [
    'never takes a name that a later file has',
    ['a.txt', 'A.txt', 'a.1.txt'],
    ['a.txt', 'A.2.txt', 'a.1.txt']
  ],
  ['moves a file out of the way of a folder', ['a', 'a/b'], ['a.1', 'a/b']],
  ['moves a file out of the way of an earlier folder', ['a/b/c', 'A/B'], ['a/b/c', 'A/B.1']],
  ['does so without regard to names that exist', ['a', 'a.1', 'a/b', 'a.2/c'], ['a.3', 'a.1', 'a/b', 'a.2/c']]
]
for (const [what, paths, expected] of unique) {
  test(`uniquePaths ${what}`, () => {
    assert.deepEqual(
      uniquePaths(paths.map((path) => ({ elements: path.split('/'), lowPriority: false }))),
      expected
    )
  })
}

test('a suffix shortens the stem of a long name, and the extension stays', () => {
  const long = `${'é'.repeat(125)}x.mkv`
  assert.deepEqual(unique1(long, long), [long, `${'é'.repeat(124)}.1.mkv`])
  const bare = 'n'.repeat(255)
  assert.deepEqual(unique1(bare, bare), [bare, `${'n'.repeat(253)}.1`])
  const onlyExtension = `a.${'b'.repeat(253)}`
  assert.deepEqual(unique1(onlyExtension, onlyExtension), [onlyExtension, `a.${'b'.repeat(251)}.1`])
  const joined = `${'a'.repeat(246)}\u200d\u{1f469}`
  assert.equal(Buffer.byteLength(joined), 253)
  assert.deepEqual(unique1(joined, joined), [joined, `${joined}.1`])
  const cut = `${joined}bb`
  assert.deepEqual(unique1(cut, cut), [cut, `${joined}.1`])
})

function unique1(...names: string[]): string[] {
  return uniquePaths(names.map((name) => ({ elements: [name], lowPriority: false })))
}

test('names that differ only in joiners are told apart', () => {
  assert.deepEqual(unique1('a\u200db', 'ab', 'a\u200cb'), ['a\u200db', 'ab.1', 'a\u200cb.2'])
})

test('padding leaves its name to files', () => {
  const requests = [
    { elements: ['a'], lowPriority: true },
    { elements: ['a'], lowPriority: false }
  ]
  assert.deepEqual(uniquePaths(requests), ['a.1', 'a'])
})

test('100,000 files of one name get unique names fast', () => {
  const paths = uniquePaths(
    Array.from({ length: 100_000 }, () => ({ elements: ['d', 'same'], lowPriority: false }))
  )
  assert.equal(new Set(paths).size, 100_000)
})

test('paths are unique for any names, and reproducible', () => {
  const long = 'n'.repeat(250)
  const part = fc.constantFrom('a', 'A', 'a.1', 'b', 'B', 'a.b', 'a\u200db', `${long}.mkv`, `${long}nnnnn`)
  const list = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 30 })
  fc.assert(
    fc.property(list, (paths) => {
      const requests = paths.map((elements) => ({ elements, lowPriority: false }))
      const unique = uniquePaths(requests)
      assert.deepEqual(uniquePaths(requests), unique)
      for (const path of unique) for (const one of path.split('/')) assert.ok(Buffer.byteLength(one) <= 255)
      const named = unique.map((path) => path.replace(/\u200d/g, '').toLowerCase())
      assert.equal(new Set(named).size, named.length)
      for (const path of named) assert.ok(!named.some((other) => other.startsWith(`${path}/`)), path)
    })
  )
})

test('many files that claim the names of others are renamed in slices', () => {
  const unique = new UniquePaths('')
  const names = ['a', ...Array.from({ length: 20_000 }, (_, n) => `a.${n + 1}`), 'a']
  for (const name of names) unique.add({ elements: [name], lowPriority: false })
  const renamed: [number, string][] = []
  const steps = unique.settleSteps(
    (path) => names[path] ?? '',
    (path, name) => renamed.push([path, name])
  )
  let parts = 1
  while (steps.next().done !== true) parts++
  assert.deepEqual(renamed, [[20_001, 'a.20001']])
  assert.ok(parts >= 20, `${parts}`)
})
