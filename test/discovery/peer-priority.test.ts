import assert from 'node:assert/strict'
import test from 'node:test'
import { peerPriority } from '../../lib/discovery/peer-priority.ts'
import { parseAddress } from '../../lib/util/address.ts'
import { fc } from '../support/fast-check.ts'

// The first two come from BEP 40.
const vectors: readonly [string, string, number][] = [
  ['123.213.32.10:1', '98.76.54.32:2', 0xec2d7224],
  ['123.213.32.10:1', '123.213.32.234:2', 0x99568189],
  ['206.248.98.111:1', '142.147.89.224:2', 0x2b41d456],
  ['123.213.32.10:51413', '123.213.33.234:6881', 0xf61850a9],
  ['123.213.32.10:51413', '123.213.32.10:6881', 0x9f852e9f],
  ['[2a03:2880:f277:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:185:face:b00c:0:25de]:2', 0xe4d0f2e2],
  ['[2a03:2880:f177:f1cd:face:b00c:0:167]:1', '[2a03:2880:f177:f285:face:b00c:0:25de]:2', 0xcd993d35],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:185:face:b00c:0:25de]:2', 0xf47e9889],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:fbce:b00c:0:25de]:2', 0x2bc35c30],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:facf:b00c:0:25de]:2', 0x04bfaa11],
  ['[2a03:2880:f177:1cd:face:b50c:0:167]:1', '[2a03:2880:f177:1cd:face:b00d:0:25de]:2', 0xa0f96012],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:face:b00d:0:25de]:2', 0x47fc5342],
  ['[2a03:2880:f177:1cd:face:b00c:ff00:167]:1', '[2a03:2880:f177:1cd:face:b00c:ff:25de]:2', 0x51bb5b16],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:face:b00c:1:25de]:2', 0xdaacae90],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:face:b00c:0:25de]:2', 0x0066dfec],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:1', '[2a03:2880:f177:1cd:face:b00c:0:16de]:2', 0x74cf65f6],
  ['[2a03:2880:f177:1cd:face:b00c:0:167]:6882', '[2a03:2880:f177:1cd:face:b00c:0:167]:6881', 0x67f8fe57]
]

for (const [own, peer, priority] of vectors) {
  test(`the priority of ${own} and ${peer}`, () => {
    assert.equal(peerPriority(parseAddress(own), parseAddress(peer)), priority)
    assert.equal(peerPriority(parseAddress(peer), parseAddress(own)), priority)
  })
}

test('there is no priority between families, and none for names', () => {
  assert.equal(peerPriority(parseAddress('1.2.3.4:1'), parseAddress('[2a03::1]:1')), undefined)
  assert.equal(peerPriority(parseAddress('1.2.3.4:1'), parseAddress('localhost:1')), undefined)
  assert.equal(
    peerPriority(parseAddress('1.2.3.4:1'), parseAddress('[::ffff:5.6.7.8]:1')),
    peerPriority(parseAddress('5.6.7.8:1'), parseAddress('1.2.3.4:1'))
  )
})

test('both sides compute the same priority', () => {
  const address = fc.record({
    host: fc.oneof(fc.ipV4(), fc.ipV6()),
    port: fc.integer({ min: 1, max: 65535 })
  })
  fc.assert(
    fc.property(address, address, (a, b) => {
      const priority = peerPriority(a, b)
      assert.equal(priority, peerPriority(b, a))
      if (priority !== undefined) assert.ok(priority >= 0 && priority < 2 ** 32)
    })
  )
})
