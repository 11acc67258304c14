import assert from 'node:assert/strict'
import test from 'node:test'
import { safeElement, uniquePaths } from '../../lib/metainfo/safe-path.ts'
import { fromText } from '../../lib/util/bytes.ts'
import { fc } from '../support/fast-check.ts'

const elements: [string, string | number[], string | undefined][] = [
  ['a plain name', 'movie.mkv', 'movie.mkv'],
  ['other scripts', 'žluťoučký 映画.mkv', 'žluťoučký 映画.mkv'],
  ['a dot', '.', undefined],
  ['two dots', '..', undefined],
  ['three dots', '...', '...'],
  ['dots hidden by invisible signs', '.\u200b.', undefined],
  ['nothing', '', '_'],
  ['a slash alone', '/', '_'],
  ['a traversal in one element', '../../etc/passwd', '....etcpasswd'],
  ['backslashes', 'a\\..\\b', 'a..b'],
  ['control characters', 'a\u0000b\nc\u007fd\u0085e', 'a_b_c_d_e'],
  ['direction marks', 'cod\u202egpj.exe\u2066\u200f', 'codgpj.exe'],
  ['a byte order mark', '\ufeffa', 'a'],
  ['bytes that are no UTF-8', [0x61, 0xff, 0x62], 'a_b'],
  ['an overlong slash', [0xc0, 0xaf, 0x61], '__a'],
  ['dot-files', '.bashrc', '.bashrc'],
  ['spaces', ' a b ', ' a b ']
]
for (const [what, raw, expected] of elements) {
  test(`makes ${what} safe`, () => {
    assert.equal(safeElement(typeof raw === 'string' ? fromText(raw) : Uint8Array.from(raw), false), expected)
  })
}

const windowsElements: [string, string | undefined][] = [
  ['con', '_con'],
  ['AUX.txt', '_AUX.txt'],
  ['com1', '_com1'],
  ['COM¹.log', '_COM¹.log'],
  ['LPT9.tar.gz', '_LPT9.tar.gz'],
  ['nul .txt', '_nul .txt'],
  ['console', 'console'],
  ['a:b', 'a_b'],
  ['what?*<>|"', 'what______'],
  ['trailing. . ', 'trailing'],
  ['... ', '_'],
  ['nul.', '_nul']
]
for (const [raw, expected] of windowsElements) {
  test(`makes '${raw}' safe on Windows alone`, () => {
    assert.equal(safeElement(fromText(raw), true), expected)
    assert.equal(safeElement(fromText(raw), false), raw)
  })
}

test('long names are cut on a character border and keep a short extension', () => {
  assert.equal(safeElement(fromText(`${'a'.repeat(300)}.mkv`)), `${'a'.repeat(236)}.mkv`)
  assert.equal(safeElement(fromText('é'.repeat(200))), 'é'.repeat(120))
  assert.equal(safeElement(fromText(`${'é'.repeat(200)}.a`)), `${'é'.repeat(119)}.a`)
  assert.equal(safeElement(fromText(`a.${'b'.repeat(300)}`)), `a.${'b'.repeat(238)}`)
  assert.equal(safeElement(fromText('😀'.repeat(61))), '😀'.repeat(60))
})

test('any bytes give an element that stays in its folder', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (raw, windows) => {
      const element = safeElement(raw, windows)
      if (element === undefined) return
      assert.ok(element !== '' && element !== '.' && element !== '..')
      assert.doesNotMatch(element, /[/\\\0]/)
      assert.ok(Buffer.byteLength(element) <= 241)
    })
  )
})

const unique: [string, string[], string[]][] = [
  ['leaves different paths alone', ['a/b', 'a/c', 'd'], ['a/b', 'a/c', 'd']],
  ['renames a repeated file', ['a.txt', 'a.txt', 'a.txt'], ['a.txt', 'a.1.txt', 'a.2.txt']],
  ['renames without an extension', ['.rc', '.rc', 'x', 'x'], ['.rc', '.rc.1', 'x', 'x.1']],
  ['sees no case', ['Readme.md', 'README.MD'], ['Readme.md', 'README.1.MD']],
  ['sees no case in folders', ['Dir/a', 'dir/A'], ['Dir/a', 'dir/A.1']],
  ['sees no composition', ['\u00e9', 'e\u0301'], ['\u00e9', 'e\u0301.1']],
  ['sees one sigma', ['\u03c3', '\u03c2'], ['\u03c3', '\u03c2.1']],
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
      uniquePaths(paths.map((path) => ({ elements: path.split('/'), yields: false }))),
      expected
    )
  })
}

test('padding yields its name to files', () => {
  const requests = [
    { elements: ['a'], yields: true },
    { elements: ['a'], yields: false }
  ]
  assert.deepEqual(uniquePaths(requests), ['a.1', 'a'])
})

test('100,000 files of one name are told apart in no time', () => {
  const paths = uniquePaths(
    Array.from({ length: 100_000 }, () => ({ elements: ['d', 'same'], yields: false }))
  )
  assert.equal(new Set(paths).size, 100_000)
})

test('paths are unique however they look, and the same each time', () => {
  const part = fc.constantFrom('a', 'A', 'a.1', 'b', 'B', 'a.b', 'A.1.b')
  const list = fc.array(fc.array(part, { minLength: 1, maxLength: 4 }), { maxLength: 30 })
  fc.assert(
    fc.property(list, (paths) => {
      const requests = paths.map((elements) => ({ elements, yields: false }))
      const named = uniquePaths(requests).map((path) => path.toLowerCase())
      assert.equal(new Set(named).size, named.length)
      for (const path of named) assert.ok(!named.some((other) => other.startsWith(`${path}/`)), path)
    })
  )
})
