import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import * as address from '../../lib/util/address.ts'
import { fc } from '../support/fast-check.ts'

for (const [text, host, port] of [
  ['1.2.3.4:80', '1.2.3.4', 80],
  ['[2001:db8::1]:65535', '2001:db8::1', 65535],
  ['[fe80::1%eth0]:1', 'fe80::1%eth0', 1],
  ['tracker.example:6969', 'tracker.example', 6969]
] as const) {
  test(`reads and writes ${text}`, () => {
    assert.deepEqual(address.parseAddress(text), { host, port })
    assert.equal(address.formatAddress({ host, port }), text)
  })
}

for (const text of [
  '',
  'a',
  ':1',
  'a:',
  'a:0',
  'a:65536',
  'a:1x',
  '::1:5',
  '[::1]',
  '[1.2.3.4]:5',
  '[::g]:1',
  'a b:1',
  'a/b:1'
]) {
  test(`refuses '${text}'`, () => {
    assert.throws(() => address.parseAddress(text), { code: 'ERR_UTIL_ADDRESS', details: { text } })
  })
}

for (const [host, canonical] of [
  ['1.2.3.4', '1.2.3.4'],
  ['example.ORG', 'example.ORG'],
  ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
  ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
  ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ['::ffff:1.2.3.4', '1.2.3.4'],
  ['::ffff:102:304', '1.2.3.4'],
  ['64:ff9b::1.2.3.4', '64:ff9b::102:304']
] as const) {
  test(`${host} is ${canonical}`, () => assert.equal(address.canonicalHost(host), canonical))
}

test('bytes of hosts', () => {
  assert.deepEqual(address.hostBytes('1.2.3.4'), Uint8Array.of(1, 2, 3, 4))
  assert.deepEqual(address.hostBytes('1::2')?.subarray(12), Uint8Array.of(0, 0, 0, 2))
  assert.equal(address.hostBytes('example.org'), undefined)
  fc.assert(
    fc.property(fc.ipV6(), (host) => {
      const raw = address.hostBytes(host)
      assert.equal(raw?.length, 16)
      const canonical = address.canonicalHost(host)
      assert.equal(address.canonicalHost(canonical), canonical)
      assert.ok(address.isAddress(canonical))
    })
  )
})

test('compact lists skip port 0 and trailing bytes (BEP 23, BEP 7)', () => {
  const peers = [
    { host: '1.2.3.4', port: 6881 },
    { host: '255.0.0.1', port: 1 }
  ]
  const packed = peers.flatMap((peer) => [...(address.formatCompact(peer) ?? [])])
  assert.deepEqual(address.parseCompact(Uint8Array.of(...packed, 9, 9, 9, 9, 0, 0, 5), 4), peers)
  const six = { host: '2001:db8::1', port: 258 }
  const bytes = address.formatCompact(six)
  assert.equal(bytes?.length, 18)
  assert.deepEqual(address.parseCompact(bytes ?? new Uint8Array(), 6), [six])
  assert.equal(address.formatCompact({ host: '::ffff:1.2.3.4', port: 1 })?.length, 6)
  assert.equal(address.formatCompact({ host: 'name', port: 1 }), undefined)
})

test('loopback in every spelling', () => {
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '0:0::1',
    '::ffff:127.0.0.1',
    'localhost',
    'LocalHost'
  ]) {
    assert.ok(address.isLoopback(host), host)
  }
  for (const host of ['128.0.0.1', '::2', '127.example', 'localhost.example'])
    assert.ok(!address.isLoopback(host), host)
})

/**
 * Returns texts that resemble addresses: every number of groups, `::` at every position, IPv4 at the end,
 * zones and single faults.
 */
function nearAddresses(): Set<string> {
  const four = [
    '1.2.3.4',
    '0.0.0.0',
    '255.255.255.255',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3',
    '1.2.3.4.5',
    '1..3.4'
  ]
  const texts = new Set([
    '',
    ':',
    '::',
    ':::',
    '.',
    '%',
    '::%',
    '1',
    'localhost',
    ' 1.2.3.4',
    '1.2.3.4\n',
    ...four
  ])
  for (let octet = 0; octet <= 300; octet++)
    for (const at of [`${octet}.0.0.9`, `9.0.0.${octet}`]) texts.add(at)
  for (const group of ['0', 'a', 'F00', '12ab', 'g', '12345', ''])
    for (let count = 1; count <= 9; count++) {
      const groups = Array<string>(count).fill('1')
      for (let odd = 0; odd < count; odd++) {
        const some = groups.map((one, at) => (at === odd ? group : one))
        texts.add(some.join(':'))
        for (let gap = 0; gap <= count; gap++)
          texts.add(`${some.slice(0, gap).join(':')}::${some.slice(gap).join(':')}`)
      }
    }
  for (const text of [...texts].filter((text) => text.includes(':')))
    for (const tail of four) for (const joint of [':', '::', '']) texts.add(`${text}${joint}${tail}`)
  const plain = [...texts].filter((_, at) => at % 7 === 0)
  for (const text of plain)
    for (const zone of ['%', '%eth0', '%1', '%a b', '%a%b', '%-.:']) texts.add(`${text}${zone}`)
  return texts
}

test('isIP agrees with that of node:net', () => {
  const texts = nearAddresses()
  const valid = { 4: 0, 6: 0 }
  for (const text of texts) {
    const expected = net.isIP(text)
    if (expected === 4 || expected === 6) valid[expected]++
    assert.equal(address.isIP(text), expected, JSON.stringify(text))
  }
  assert.ok(texts.size > 5000 && valid[4] > 500 && valid[6] > 500, JSON.stringify([texts.size, valid]))
  const letter = fc.constantFrom(...'0129afAFg:.%')
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: letter, maxLength: 45 }), fc.ipV4(), fc.ipV6()), (text) => {
      assert.equal(address.isIP(text), net.isIP(text))
    }),
    { numRuns: 3000 }
  )
})
