import assert from 'node:assert/strict'
import test from 'node:test'
import { sniffHandshake } from '../../lib/wire/sniff-handshake.ts'

const handshake = Buffer.concat([Buffer.from('\x13BitTorrent protocol', 'latin1'), Buffer.alloc(48, 1)])

test('a handshake is passed on once complete, with or without bytes after it', () => {
  for (let length = 0; length < 68; length++)
    assert.equal(sniffHandshake(handshake.subarray(0, length)), 'wait', String(length))
  assert.equal(sniffHandshake(handshake), 'take')
  assert.equal(sniffHandshake(Buffer.concat([handshake, Buffer.alloc(5)])), 'take')
})

for (const text of ['G', 'GET / HTTP/1.1\r\n', '\x13BitTorrent protocoL', '\x16\x03\x01', '\x13BitTorrenx']) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.equal(sniffHandshake(Buffer.from(text, 'latin1')), 'refuse')
    assert.equal(sniffHandshake(Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(100)])), 'refuse')
  })
}
