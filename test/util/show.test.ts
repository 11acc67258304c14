import assert from 'node:assert/strict'
import test from 'node:test'
import { show } from '../../lib/util/show.ts'

test('any value is one short line', () => {
  for (const [value, text] of [
    [undefined, 'undefined'],
    ['a\nb', "'a\\nb'"],
    [Symbol('s'), 'Symbol(s)'],
    [{ deep: { er: 1 } }, '{ deep: [Object] }'],
    [[1, 2, 3, 4, 5], '[ 1, 2, 3, ... 2 more items ]'],
    [Object.create(null), '[Object: null prototype] {}']
  ] as const)
    assert.equal(show(value), text)
  assert.equal(show(['http://user:pass@t.example/passkey123/announce']), "[ 'http://t.example/…/announce' ]")
  const hostile = {
    get a() {
      throw new Error('looked at')
    },
    [Symbol.for('nodejs.util.inspect.custom')]: () => {
      throw new Error('inspected')
    }
  }
  for (const value of [
    hostile,
    'x'.repeat(1e6),
    Buffer.alloc(1e6),
    new Proxy({}, { get: () => hostile.a }),
    () => 1
  ])
    assert.ok(show(value).length <= 81, show(value))
  assert.ok(!show('x\n'.repeat(1000)).includes('\n'))
})
