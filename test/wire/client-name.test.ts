import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientName } from '../../lib/wire/client-name.ts'
import { fc } from '../support/fast-check.ts'

const cases: [id: string, name: string | undefined][] = [
  ['-qB4520-abcdefghijkl', 'qBittorrent 4.5.2'],
  ['-TR4050-abcdefghijkl', 'Transmission 4.0.5'],
  ['-LT20B0-abcdefghijkl', 'libtorrent 2.0.11'],
  ['-UT355S-abcdefghijkl', 'µTorrent 3.5.5.28'],
  ['-PW0100-abcdefghijkl', 'piecewise 0.1'],
  ['-Zx1000-abcdefghijkl', 'Zx 1.0'],
  ['A2-1-37-0-abcdefghij', 'aria2 1.37'],
  ['M7-10-5--abcdefghijk', 'BitTorrent 7.10.5'],
  ['T03I-----abcdefghijk', 'BitTornado 0.3.18'],
  ['X03I-----abcdefghijk', undefined],
  ['-__proto-abcdefghijk', undefined],
  ['\x00\x01\x02', undefined],
  ['', undefined]
]
for (const [id, name] of cases) {
  test(`the client of ${JSON.stringify(id)} is ${name}`, () => {
    assert.equal(clientName(Buffer.from(id, 'latin1')), name)
  })
}

test('a name is printable for any id', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (id) => !/\p{C}/u.test(clientName(id) ?? '')))
})
