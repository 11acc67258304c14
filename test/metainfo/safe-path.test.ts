import assert from 'node:assert/strict'
import test from 'node:test'
import { safeElement, safeName } from '../../lib/metainfo/safe-path.ts'
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
  ['a family', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}.mkv', '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}.mkv'],
  ['Persian', 'می\u200cخواهم.mkv', 'می\u200cخواهم.mkv'],
  ['Malayalam', 'അവന്\u200d.txt', 'അവന്\u200d.txt'],
  ['other invisible characters', 'a\u200b\u2060\u2064\u061cb', 'ab'],
  ['joiners alone', '\u200c\u200d', '_'],
  ['a dot behind a joiner', '\u200c.', undefined],
  ['two dots with a joiner between', '.\u200d.', undefined],
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
  ['nul.a\u2028b', '_nul.a\u2028b'],
  ['com1.\u2029', '_com1.\u2029'],
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

const names: [string, string, string][] = [
  ['a leading dot', '.bashrc', '_bashrc'],
  ['three dots', '...', '_..'],
  ['a dot behind a joiner', '\u200d.ssh', '_ssh'],
  ['a dot behind what is removed', '/\u202e.ssh', '_ssh'],
  ['no leading dot', 'a.b', 'a.b']
]
for (const [what, raw, expected] of names) {
  test(`the name of a torrent with ${what}`, () => assert.equal(safeName(fromText(raw), false), expected))
}

test('names have up to 255 bytes, are cut at a character boundary and keep a short extension', () => {
  const longest = `${'a'.repeat(251)}.mkv`
  assert.equal(safeElement(fromText(longest)), longest)
  assert.equal(safeElement(fromText(`${'a'.repeat(300)}.mkv`)), longest)
  assert.equal(safeElement(fromText('é'.repeat(200))), 'é'.repeat(127))
  assert.equal(safeElement(fromText(`${'é'.repeat(200)}.a`)), `${'é'.repeat(126)}.a`)
  assert.equal(safeElement(fromText(`a.${'b'.repeat(300)}`)), `a.${'b'.repeat(253)}`)
  assert.equal(safeElement(fromText('😀'.repeat(64))), '😀'.repeat(63))
  const family = '\u{1f468}\u200d\u{1f469}'
  assert.equal(safeElement(fromText(family.repeat(24))), `${family.repeat(23)}`)
  assert.equal(safeElement(fromText(`ab${family.repeat(24)}`)), `ab${family.repeat(23)}`)
  assert.equal(safeElement(fromText(`${'a'.repeat(250)}\u200d\u{1f469}`)), 'a'.repeat(250))
  assert.equal(safeElement(fromText(`con.${'a'.repeat(300)}`), true), `_con.${'a'.repeat(250)}`)
})

/** Characters that are most likely to be dangerous in combination. */
const bits = fc.constantFrom(
  ...[
    '.',
    '..',
    '/',
    '\\',
    ' ',
    '~',
    'a',
    'con',
    'piecewise',
    'é',
    'e\u0301',
    '映',
    '😀',
    '\u200b',
    '\u200c',
    '\u200d'
  ],
  ...[
    '\u202e',
    '\u2066',
    '\ufeff',
    '\0',
    '\n',
    '\ufffd',
    ':',
    '?',
    'x'.repeat(120),
    'ж'.repeat(60),
    '.mkv',
    '.1'
  ]
)
const anyName = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.array(bits, { maxLength: 8 }).map((parts) => fromText(parts.join('')))
)

test('any bytes give an element that stays in its folder, fits, and maps to itself', () => {
  fc.assert(
    fc.property(anyName, fc.boolean(), (raw, windows) => {
      for (const safe of [safeElement, safeName]) {
        const element = safe(raw, windows)
        assert.equal(safe(raw, windows), element)
        if (element === undefined) continue
        assert.ok(element !== '' && element !== '.' && element !== '..')
        assert.doesNotMatch(element, /[/\\\u200b\u202a-\u202e\u2066-\u2069\ufeff\p{Cc}]/u)
        assert.ok(Buffer.byteLength(element) <= 255)
        assert.equal(safe(fromText(element), windows), element)
        if (safe === safeName) assert.doesNotMatch(element, /^[\u200c\u200d]*\./)
        if (windows) assert.doesNotMatch(element, /["*:<>?|]|[. ]$/)
      }
    }),
    { numRuns: 3000 }
  )
})
