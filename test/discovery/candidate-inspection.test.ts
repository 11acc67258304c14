import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import type { WaitingCandidate } from '../../lib/discovery/candidate-inspection.ts'

const address = { host: '198.51.100.7', port: 6881 }

function fail(book: AddressBook, times: number): void {
  for (let n = 0; n < times; n++) {
    book.dialling(address, 0)
    book.failed(address, 0)
  }
}

function end(book: AddressBook, outcome: 'useful' | 'uninteresting'): void {
  book.dialling(address, 0)
  book.connected(address)
  book.disconnected(address, 0, outcome)
}

const rows: readonly (readonly [
  WaitingCandidate['why'],
  (book: AddressBook) => void,
  number | null,
  number
])[] = [
  ['ready', () => {}, 0, 0],
  ['failed', (book) => fail(book, 1), 10_000, 1],
  ['recent', (book) => end(book, 'useful'), 5000, 0],
  ['uninteresting', (book) => end(book, 'uninteresting'), 600_000, 0],
  ['given up', (book) => fail(book, 6), null, 6]
]

for (const [why, happens, inMs, failures] of rows) {
  test(`a waiting address tells why and for how long: ${why}`, () => {
    const book = new AddressBook({ random: () => 0 })
    book.add(address, 'tracker', 0)
    happens(book)
    const [next] = book.inspect(0).next
    assert.deepEqual(next, { address: '198.51.100.7:6881', source: 'tracker', failures, why, inMs })
  })
}

test('addresses are counted by state, and the next to be dialled comes first', () => {
  const book = new AddressBook({ random: () => 0 })

  for (const [host, port] of [
    ['198.51.100.1', 1],
    ['198.51.100.2', 2],
    ['198.51.100.3', 3],
    ['198.51.100.4', 4]
  ] as const)
    book.add({ host, port }, 'tracker', 0)
  book.dialling({ host: '198.51.100.1', port: 1 }, 0)
  book.dialling({ host: '198.51.100.2', port: 2 }, 0)
  book.connected({ host: '198.51.100.2', port: 2 })
  book.dialling({ host: '198.51.100.3', port: 3 }, 0)
  book.failed({ host: '198.51.100.3', port: 3 }, 0)
  book.ban({ host: '198.51.100.9', port: 9 })
  const { next, ...counts } = book.inspect(0)
  assert.deepEqual(counts, { known: 4, connected: 1, dialling: 1, waiting: 2, banned: 1 })
  assert.deepEqual(
    next.map(({ address: one }) => one),
    ['198.51.100.4:4', '198.51.100.3:3']
  )
})
