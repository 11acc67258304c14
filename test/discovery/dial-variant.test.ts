import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { type DialVariant, variantsOf } from '../../lib/discovery/dial-variant.ts'
import { parseAddress } from '../../lib/util/address.ts'

const [a, b, c] = ['a', 'b', 'c'].map((transport) => {
  return { transport, encryption: 'plain' } as unknown as DialVariant
}) as [DialVariant, DialVariant, DialVariant]
const other = { ...a }

for (const [worked, expected] of [
  [undefined, [a, b, c]],
  [a, [a, b, c]],
  [b, [b, a, c]],
  [c, [c, a, b]],
  [other, [a, b, c]]
] as const) {
  const name = worked === other ? 'a variant that is no longer tried' : (worked?.transport ?? 'none')
  test(`variants are tried in order, the last successful one first: ${name}`, () => {
    const variants = variantsOf(worked, [a, b, c])
    assert.equal(variants.length, expected.length)
    expected.forEach((variant, n) => void assert.equal(variants[n], variant))
  })
}

test('an address is dialled by plain TCP', () => {
  const book = new AddressBook({ random: Math.random })
  book.add(parseAddress('8.0.0.1:1'), 'tracker', 0)
  assert.deepEqual(book.next(0)?.variants, [{ transport: 'tcp', encryption: 'plain' }])
})
