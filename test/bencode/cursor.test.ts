import assert from 'node:assert/strict'
import test from 'node:test'
import { Cursor } from '../../lib/bencode/cursor.ts'
import { decode } from '../../lib/bencode/decode.ts'
import { fromText } from '../../lib/util/bytes.ts'

const integers = [
  'i0e',
  'i-0e',
  'i-1e',
  'i007e',
  'i9007199254740991e',
  'i9007199254740992e',
  'i-9007199254740993e'
]
for (const text of [...integers, `i${'9'.repeat(64)}e`, '0:', '4:spam', '004:spam']) {
  test(`a cursor reads ${text} like the decoder`, () => {
    const bytes = fromText(text)
    const cursor = new Cursor(bytes, 0)
    assert.deepEqual(cursor.scalar(), decode(bytes))
    assert.equal(cursor.at, bytes.length)
  })
}

test('a cursor walks lists and dictionaries', () => {
  const bytes = fromText('l1:ad1:bi1eeli2eee')
  const cursor = new Cursor(bytes, 0)
  const kinds: string[] = []
  cursor.enter()
  while (!cursor.leave()) {
    kinds.push(cursor.kind)
    if (cursor.kind === 'dict') assert.equal(cursor.scalar(), undefined)
    else cursor.skip()
  }
  assert.deepEqual(kinds, ['string', 'dict', 'list'])
  assert.equal(cursor.at, bytes.length)
})
