import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseMethod } from '../../../lib/transport/mse/encryption.ts'

const table = [
  [false, [undefined, undefined, undefined, undefined]],
  ['allow', [undefined, 'plain', 'rc4', 'plain']],
  ['prefer', [undefined, 'plain', 'rc4', 'rc4']],
  ['require', [undefined, undefined, 'rc4', 'rc4']]
] as const

for (const [encryption, expected] of table) {
  test(`with ${encryption}, the method is chosen among those that the peer offers`, () => {
    assert.deepEqual(
      [0, 1, 2, 3].map((offered) => chooseMethod(encryption, offered)),
      expected
    )
    assert.equal(chooseMethod(encryption, 0xfffffffc), undefined)
  })
}
