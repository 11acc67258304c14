import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../../lib/bencode.ts'
import { parseAddress } from '../../lib/util/address.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { encodePex, parsePex } from '../../lib/wire/ut-pex.ts'
import { PexExtension, type PexMessage, pexFlags, Wire } from '../../lib/wire.ts'
import { fc } from '../support/fast-check.ts'

const v4 = parseAddress('1.2.3.4:6881')
const v6 = parseAddress('[2a03:2880::1]:51413')

test('a message in the keys of BEP 11', () => {
  const bytes = encodePex({
    added: [
      { address: v4, flags: pexFlags.uploadOnly },
      { address: v6, flags: pexFlags.reachable }
    ],
    dropped: [v4]
  })
  assert.deepEqual(
    Buffer.from(bytes),
    Buffer.concat([
      Buffer.from('d5:added6:\x01\x02\x03\x04\x1a\xe1', 'latin1'),
      Buffer.from('7:added.f1:\x02', 'latin1'),
      Buffer.from('6:added618:\x2a\x03\x28\x80', 'latin1'),
      Buffer.alloc(11),
      Buffer.from('\x01\xc8\xd58:added6.f1:\x10', 'latin1'),
      Buffer.from('7:dropped6:\x01\x02\x03\x04\x1a\xe1e', 'latin1')
    ])
  )
  assert.deepEqual(parsePex(bytes), {
    added: [
      { address: v4, flags: 2 },
      { address: v6, flags: 16 }
    ],
    dropped: [v4]
  })
})

test('missing, malformed and mistyped values are skipped, and flags stay with their peers', () => {
  const compact = Buffer.from([1, 2, 3, 4, 0, 0, 5, 6, 7, 8, 0, 9, 1, 1, 1, 1, 0, 1, 99])
  const message = parsePex(encode({ added: compact, 'added.f': Buffer.from([7, 2]), dropped: 5, added6: [] }))
  assert.deepEqual(message, {
    added: [
      { address: { host: '5.6.7.8', port: 9 }, flags: 2 },
      { address: { host: '1.1.1.1', port: 1 }, flags: 0 }
    ],
    dropped: []
  })
  assert.deepEqual(parsePex(encode({})), { added: [], dropped: [] })
})

for (const [what, payload] of Object.entries({
  'no bencode': Buffer.from('x'),
  'a list': Buffer.from('le'),
  'too many values': Buffer.from(`d1:al${'i1e'.repeat(300)}ee`),
  'too deep a value': Buffer.from('d1:alllllleeeeeee'),
  'more peers than any client has': encode({ added: Buffer.alloc(6 * 1001, 1) }),
  'more lost peers than any client had': encode({ dropped6: Buffer.alloc(18 * 1001, 1) })
})) {
  test(`refuses a message that is or has ${what}`, () => {
    assert.throws(() => parsePex(payload), { code: /ERR_WIRE_(PROTOCOL|LIMIT)/ })
  })
}

test('bytes after the dictionary are ignored', () => {
  const message = { added: [{ address: v4, flags: 1 }], dropped: [v6] }
  for (const tail of ['\n', '\r\n', '\0', 'de', 'nonsense']) {
    assert.deepEqual(parsePex(Buffer.concat([encodePex(message), Buffer.from(tail)])), message)
  }
})

test('written messages are read again, and garbage ends in a TorrentError or nothing', () => {
  const address = fc.record(
    { host: fc.ipV4(), port: fc.integer({ min: 1, max: 65535 }) },
    { noNullPrototype: true }
  )
  const peer = fc.record({ address, flags: fc.integer({ min: 0, max: 255 }) }, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(peer), fc.array(address), (added, dropped) => {
      assert.deepEqual(parsePex(encodePex({ added, dropped })), { added, dropped })
    })
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 50 }), (added, flags) => {
      for (const payload of [added, encode({ added, 'added.f': flags, added6: added, dropped: flags })]) {
        try {
          parsePex(payload)
        } catch (error) {
          assert.ok(error instanceof TorrentError)
        }
      }
    })
  )
})

test('two wires exchange, until one withdraws', async () => {
  const wires: [Wire, Wire] = [new Wire(), new Wire()]
  wires[0].pipe(wires[1]).pipe(wires[0])
  const heard: PexMessage[] = []
  let ready = 0
  const sender = wires[0].use(new PexExtension(wires[0], { onReady: () => ready++ }))
  let arrived = (): void => {}
  const receiver = wires[1].use(
    new PexExtension(wires[1], {
      onPeers: (message) => {
        heard.push(message)
        arrived()
      }
    })
  )
  assert.equal(sender.send({ added: [{ address: v4, flags: 0 }], dropped: [] }), false)
  const known = wires.map((wire) => new Promise((resolve) => wire.once('extended-handshake', resolve)))
  for (const wire of wires) {
    wire.on('handshake', () => wire.extendedHandshake())
    wire.handshake(new Uint8Array(20), new Uint8Array(20))
  }
  await Promise.all(known)
  assert.equal(ready, 1)
  assert.equal(sender.send({ added: [], dropped: [] }), false)
  const first = new Promise<void>((resolve) => {
    arrived = resolve
  })
  assert.equal(sender.send({ added: [{ address: v4, flags: 1 }], dropped: [v6] }), true)
  await first
  assert.deepEqual(heard, [{ added: [{ address: v4, flags: 1 }], dropped: [v6] }])
  const told = new Promise((resolve) => wires[0].once('extended-handshake', resolve))
  receiver.announced = false
  receiver.onMessage(Buffer.from('garbage'))
  wires[1].extendedHandshake()
  await told
  assert.equal(sender.supported, false)
  assert.equal(sender.send({ added: [{ address: v4, flags: 1 }], dropped: [] }), false)
  assert.equal(receiver.send({ added: [{ address: v4, flags: 1 }], dropped: [] }), false)
  assert.equal(heard.length, 1)
  for (const wire of wires) wire.destroy()
})
