import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRanges } from '../../lib/server/ranges.ts'
import { fc } from '../support/fast-check.ts'

const table: readonly (readonly [header: string | undefined, length: number, expected: string])[] = [
  [undefined, 1000, 'whole'],
  ['', 1000, 'whole'],
  ['bytes=0-', 1000, '0-1000'],
  ['bytes=0-0', 1000, '0-1'],
  ['BYTES=0-0', 1000, '0-1'],
  ['bytes=999-', 1000, '999-1000'],
  ['bytes=999-5000', 1000, '999-1000'],
  ['bytes=1000-', 1000, 'unsatisfiable'],
  ['bytes=-1', 1000, '999-1000'],
  ['bytes=-5000', 1000, '0-1000'],
  ['bytes=-0', 1000, 'unsatisfiable'],
  ['bytes=-0,0-0', 1000, '0-1'],
  ['bytes=5-4', 1000, 'whole'],
  ['bytes=0-1,5-4', 1000, 'whole'],
  ['bytes=a-b', 1000, 'whole'],
  ['bytes=-', 1000, 'whole'],
  ['bytes=', 1000, 'whole'],
  ['bytes=,', 1000, 'whole'],
  ['bytes=1', 1000, 'whole'],
  ['bytes=--1', 1000, 'whole'],
  ['bytes=0x1-2', 1000, 'whole'],
  ['bytes =0-1', 1000, 'whole'],
  ['items=0-1', 1000, 'whole'],
  ['bytes=0-1 , ,\t300-301', 1000, '0-2 300-302'],
  ['bytes=300-301,0-1', 1000, '300-302 0-2'],
  ['bytes=0-1,2-3', 1000, '0-4'],
  ['bytes=0-1,50-60', 1000, '0-61'],
  ['bytes=0-9,300-309,5-350', 1000, '0-351'],
  ['bytes=0-,-1', 1000, '0-1000'],
  ['bytes=0-1,2000-3000', 1000, '0-2'],
  ['bytes=2000-,3000-', 1000, 'unsatisfiable'],
  ['bytes=0-99999999999999999999999999', 1000, '0-1000'],
  ['bytes=99999999999999999999999999-', 1000, 'unsatisfiable'],
  ['bytes=0-', 0, 'whole'],
  ['bytes=-1', 0, 'whole'],
  ['bytes=-0', 0, 'whole'],
  ['bytes=5-9', 0, 'whole']
]

test('ranges are read as in RFC 9110', () => {
  for (const [header, length, expected] of table) {
    const ranges = parseRanges(header, length)
    const text =
      typeof ranges === 'string' ? ranges : ranges.map(({ start, end }) => `${start}-${end}`).join(' ')
    assert.equal(text, expected, `${header} of ${length}`)
  }
})

test('too many ranges are answered with the whole file', () => {
  const many = (count: number): string =>
    `bytes=${Array.from({ length: count }, (_, n) => `${n * 1000}-${n * 1000}`).join()}`
  assert.equal(parseRanges(many(65), 1e6), 'whole')
  assert.equal(parseRanges(many(64), 1e6).length, 64)
})

test('for any request, ranges are inside the file, disjoint, and hold every requested byte', () => {
  const spec = fc.tuple(fc.nat(3000), fc.nat(400)).map(([start, more]) => ({ start, last: start + more }))
  fc.assert(
    fc.property(
      fc.array(spec, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 1, max: 2500 }),
      (specs, length) => {
        const ranges = parseRanges(
          `bytes=${specs.map(({ start, last }) => `${start}-${last}`).join()}`,
          length
        )
        const satisfiable = specs.filter(({ start }) => start < length)
        if (typeof ranges === 'string') return satisfiable.length === 0 && ranges === 'unsatisfiable'
        const sorted = [...ranges].sort((a, b) => a.start - b.start)
        const apart = sorted.every(
          ({ start, end }, n) => start < end && end <= length && start > (sorted[n - 1]?.end ?? -1)
        )
        return (
          apart &&
          satisfiable.every((one) =>
            ranges.some(({ start, end }) => start <= one.start && end >= Math.min(one.last + 1, length))
          )
        )
      }
    )
  )
  fc.assert(
    fc.property(
      fc.string(),
      fc.nat(100),
      (text, length) => parseRanges(`bytes=${text}`, length) !== undefined
    )
  )
})
