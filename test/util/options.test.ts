import assert from 'node:assert/strict'
import test from 'node:test'
import { checkNoMore, checkOptionNames, checkSignal, checkType, isPromise } from '../../lib/util/options.ts'

const refuse = (option: string, reason: string): Error => new Error(`${option}: ${reason}`)
const known = ['path', 'trackers', 'superSeeding']

for (const [what, options, message] of [
  ['an unknown name', { zzzzzzzz: 1 }, /^zzzzzzzz: there is no such option$/],
  ['a name of another library', { announce: 1 }, /use trackers/],
  ['one that means nothing here', { strategy: 1 }, /\(streams come in order/],
  ['a typing error', { paht: 1 }, /did you mean path\?/],
  ['another case', { SUPERSEEDING: 1 }, /did you mean superSeeding\?/],
  ['one of another call', { port: 1 }, /it is one of the client/],
  ['a name that every object has', { constructor: 1 }, /^constructor: there is no such option/],
  ['a function', () => {}, /callbacks are not supported/],
  ['null', null, /null must be an object/],
  ['a list', [], /must be an object/],
  ['text', 'utf8', /must be an object/]
] as const) {
  test(`${what} is refused`, () => {
    assert.throws(() => checkOptionNames(options, known, refuse, { 'the client': ['port'] }), { message })
  })
}

test('known names are accepted, and inherited ones do not count', () => {
  checkOptionNames({ path: 1, trackers: undefined }, known, refuse)
  checkOptionNames(Object.create({ foreign: 1 }), known, refuse)
})

test('further arguments are refused unless undefined', () => {
  checkNoMore([undefined], refuse)
  assert.throws(() => checkNoMore([() => {}], refuse), /callbacks/)
  assert.throws(() => checkNoMore([undefined, 7], refuse), /7 is one argument too many/)
})

test('types, signals and promises', async () => {
  checkType('x', undefined, 'boolean', refuse)
  assert.throws(() => checkType('x', 'yes', 'boolean', refuse), /'yes' must be true or false/)
  checkSignal(AbortSignal.timeout(1), refuse)
  assert.throws(() => checkSignal({ aborted: false }, refuse), /must be an AbortSignal/)
  assert.deepEqual([Promise.resolve(), {}, null, 1].map(isPromise), [true, false, false, false])
})
