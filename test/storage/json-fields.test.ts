import assert from 'node:assert/strict'
import test from 'node:test'
import { JsonFields, parseRecordJson } from '../../lib/storage/json-fields.ts'
import { fc } from '../support/fast-check.ts'

test('the JSON of records is read like JSON.parse', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      const text = JSON.stringify(value)
      assert.deepEqual(parseRecordJson(text), JSON.parse(text))
    })
  )
  for (const text of ['', '{', '[1,]', '"', '"\\', ']]]', '{"a":1}x']) {
    assert.throws(() => parseRecordJson(text), SyntaxError, text)
  }
})

test('JSON that nests deeper than records, or has more lists, is refused', () => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  assert.doesNotThrow(() => parseRecordJson(nested(16)))
  assert.throws(() => parseRecordJson(nested(17)), TypeError)
  assert.throws(() => parseRecordJson('{"a":'.repeat(1_000_000)), TypeError)
  assert.throws(() => parseRecordJson(`[${'[],'.repeat(3_000_000)}1]`), TypeError)
})

test('brackets within texts are no nesting', () => {
  const value = { path: `${'['.repeat(100)}"\\${'{'.repeat(100)}` }
  assert.deepEqual(parseRecordJson(JSON.stringify(value)), value)
})

test('a count is a whole number of at least 0, an amount any number, and -0 is 0', () => {
  const fields = (json: string): JsonFields => new JsonFields(JSON.parse(`{"n":${json}}`))
  for (const [json, number] of [
    ['0', 0],
    ['-0', 0],
    ['-0.0', 0],
    ['7.0', 7]
  ] as const) {
    assert.ok(Object.is(fields(json).count('n'), number), json)
    assert.ok(Object.is(fields(json).amount('n'), number), json)
  }
  assert.equal(fields('7.5').amount('n'), 7.5)
  assert.throws(() => fields('7.5').count('n'), TypeError)
  for (const json of ['-1', '1e300', '"1"', 'null', '[]']) {
    assert.throws(() => fields(json).count('n'), TypeError, json)
    assert.throws(() => fields(json).amount('n'), TypeError, json)
  }
})
