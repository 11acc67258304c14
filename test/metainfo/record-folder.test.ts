import assert from 'node:assert/strict'
import test from 'node:test'
import { reachesRecordFolder, recordFolder, spellsRecordFolder } from '../../lib/metainfo/record-folder.ts'
import { safeElement } from '../../lib/metainfo/safe-path.ts'
import { fromText } from '../../lib/util/bytes.ts'

/** Other names by which file systems may lead to the folder `.piecewise`. */
const spellings: readonly (readonly [string, string])[] = [
  ['itself', '.piecewise'],
  ['upper case', '.PieceWISE'],
  ['a dotless i, which is I in upper case', '.p\u0131ecew\u0131se'],
  ['a dotted I', '.p\u0130ecew\u0130se'],
  ['a long s', '.piecewi\u017fe'],
  ['letters of full width', '.\uff50\uff49\uff45\uff43\uff45\uff57\uff49\uff53\uff45'],
  ['a full stop of full width', '\uff0epiecewise'],
  ['a one dot leader', '\u2024piecewise'],
  ['a small full stop', '\ufe52piecewise'],
  ['accents that a code page drops', '.pi\u00e9cewise'],
  ['a combining accent', '.pie\u0301cewise'],
  ['a zero-width joiner', '.piece\u200dwise'],
  ['a zero-width non-joiner in front', '\u200c.piecewise'],
  ['a soft hyphen', '.piece\u00adwise'],
  ['a word joiner', '.piece\u2060wise'],
  ['a byte order mark', '\ufeff.piecewise'],
  ['a variation selector', '.piecewise\ufe0f'],
  ['a control character', '.piecewise\u0001'],
  ['a character for private use', '.piecewise\uf029'],
  ['a dot at the end', '.piecewise.'],
  ['dots and spaces at the end', '.piecewise. . '],
  ['a space in front', ' .piecewise'],
  ['the stream that is the folder', '.piecewise::$INDEX_ALLOCATION'],
  ['a stream behind spaces', '.piecewise .:x'],
  ['its short name', 'PIECEW~1'],
  ['its short name in lower case', 'piecew~2'],
  ['a later short name', 'PIECE~10'],
  ['a hashed short name', 'PI4F2A~1'],
  ['a tilde of full width', 'PIECEW\uff5e1']
]
for (const [what, name] of spellings) {
  test(`no element of a torrent reaches the record folder by ${what}`, () => {
    assert.equal(spellsRecordFolder(name), true)
    assert.equal(reachesRecordFolder(`a/${name}/b`), true)
    assert.equal(reachesRecordFolder(name), true)
    for (const windows of [false, true]) {
      const safe = safeElement(fromText(name), windows) ?? ''
      assert.equal(spellsRecordFolder(safe), false, safe)
      assert.notEqual(safe, '')
    }
  })
}

test('names that only resemble it stay unchanged', () => {
  for (const name of [
    'piecewise',
    'piecewise.',
    '.piecewise2',
    '.piecewise-data',
    '..piecewise',
    'a.piecewise',
    'PICTUR~1',
    'PIECEWISE~1',
    '~piecewise',
    '.piece.wise'
  ]) {
    assert.equal(spellsRecordFolder(name), false, name)
    assert.equal(reachesRecordFolder(`a/${name}`), false, name)
    assert.equal(safeElement(fromText(name), false), name)
  }
  assert.equal(safeElement(fromText(recordFolder)), '_piecewise')
})
