import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import {
  type DialEnd,
  type DialRules,
  type DialVariant,
  variantsAfter,
  variantsOf
} from '../../lib/discovery/dial-variant.ts'
import { parseAddress } from '../../lib/util/address.ts'

function variant(name: string): DialVariant {
  const [transport, encryption] = name.split(' ')
  return { transport, encryption } as DialVariant
}

function nameOf({ transport, encryption }: DialVariant): string {
  return `${transport} ${encryption}`
}

const noHints = { encryption: false, utp: false }
const both = ['tcp', 'utp'] as const

const orders: readonly (readonly [
  string,
  DialRules,
  Partial<typeof noHints>,
  string | undefined,
  string[]
])[] = [
  ['never encrypted', { encryption: false, transports: ['tcp'] }, {}, undefined, ['tcp plain']],
  [
    'encrypted where plain is refused',
    { encryption: 'allow', transports: ['tcp'] },
    {},
    undefined,
    ['tcp plain', 'tcp mse', 'tcp rc4']
  ],
  [
    'encrypted first to a peer that prefers it',
    { encryption: 'allow', transports: ['tcp'] },
    { encryption: true },
    undefined,
    ['tcp mse', 'tcp rc4', 'tcp plain']
  ],
  [
    'the variant that worked first',
    { encryption: 'allow', transports: ['tcp'] },
    {},
    'tcp rc4',
    ['tcp rc4', 'tcp plain', 'tcp mse']
  ],
  [
    'a variant that worked and is not allowed any more',
    { encryption: 'require', transports: ['tcp'] },
    {},
    'tcp plain',
    ['tcp rc4']
  ],
  [
    'plain last',
    { encryption: 'prefer', transports: ['tcp'] },
    {},
    undefined,
    ['tcp mse', 'tcp rc4', 'tcp plain']
  ],
  ['RC4 alone', { encryption: 'require', transports: both }, {}, undefined, ['tcp rc4', 'utp rc4']],
  [
    'over uTP encrypted first',
    { encryption: 'allow', transports: both },
    {},
    undefined,
    ['tcp plain', 'tcp mse', 'tcp rc4', 'utp mse', 'utp rc4', 'utp plain']
  ],
  [
    'over uTP first to a peer that has it',
    { encryption: false, transports: both },
    { utp: true },
    undefined,
    ['utp plain', 'tcp plain']
  ],
  [
    'over TCP where uTP is off',
    { encryption: false, transports: ['tcp'] },
    { utp: true },
    undefined,
    ['tcp plain']
  ]
]

for (const [what, rules, hints, worked, expected] of orders) {
  test(`a peer is dialled in the order of the rules and hints: ${what}`, () => {
    const variants = variantsOf(
      rules,
      { ...noHints, ...hints },
      worked === undefined ? undefined : variant(worked)
    )
    assert.deepEqual(variants.map(nameOf), expected)
  })
}

const all = ['tcp plain', 'tcp mse', 'tcp rc4', 'utp mse', 'utp rc4', 'utp plain']

const ends: readonly (readonly [string, string, DialEnd, string[]])[] = [
  ['another transport', 'tcp plain', 'unreachable', ['utp mse', 'utp rc4', 'utp plain']],
  ['with encryption', 'tcp plain', 'closed', ['tcp mse', 'tcp rc4', 'utp mse', 'utp rc4', 'utp plain']],
  ['without encryption', 'tcp mse', 'closed', ['tcp plain', 'utp mse', 'utp rc4', 'utp plain']],
  ['RC4 alone', 'tcp mse', 'key', ['tcp rc4']],
  ['nothing, as it has MSE and refuses both offers', 'tcp rc4', 'key', []],
  ['nothing, as it has answered', 'tcp plain', 'answered', []],
  ['nothing, as it has answered MSE', 'utp mse', 'answered', []]
]

for (const [what, failed, end, expected] of ends) {
  test(`after ${failed} ended as ${end}, what is left to try is ${what}`, () => {
    const left = all.filter((name) => name !== failed).map(variant)
    assert.deepEqual(variantsAfter(variant(failed), left, end).map(nameOf), expected)
  })
}

test('an address is dialled by plain TCP unless the book has other rules', () => {
  const book = new AddressBook({ random: Math.random })
  book.add(parseAddress('8.0.0.1:1'), 'tracker', 0)
  assert.deepEqual(book.next(0)?.variants, [{ transport: 'tcp', encryption: 'plain' }])
})

test('the hints of an address decide how it is dialled first', () => {
  const book = new AddressBook({ random: Math.random, dials: { encryption: 'allow', transports: ['tcp'] } })
  book.add({ ...parseAddress('8.0.0.1:1'), flags: 0x01 }, 'pex', 0, '8.0.0.2')
  assert.deepEqual(book.next(0)?.variants.map(nameOf), ['tcp mse', 'tcp rc4', 'tcp plain'])
})
