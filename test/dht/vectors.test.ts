import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { BloomFilter } from '../../lib/dht/bloom-filter.ts'
import {
  immutableTarget,
  mutableTarget,
  privateKeyOf,
  publicKeyOf,
  signedBytes,
  signItem,
  verifyItem
} from '../../lib/dht/item.ts'
import { decodeKrpc, encodeError, encodeQuery, encodeResponse, type KrpcValues } from '../../lib/dht/krpc.ts'
import { isSecureId, secureId } from '../../lib/dht/node-id.ts'
import { formatNodes, parseNodes } from '../../lib/dht/node-info.ts'
import { hostOf } from '../../lib/util/address.ts'
import { fromHex, fromText, randomBytes, toHex } from '../../lib/util/bytes.ts'
import { crc32c } from '../../lib/util/crc32c.ts'
import { TorrentError } from '../../lib/util/errors.ts'

function hex(text: string): Uint8Array {
  const bytes = fromHex(text.replaceAll(/\s/g, ''))
  if (bytes === undefined) throw new Error(text)
  return bytes
}

const [asker, other] = [fromText('abcdefghij0123456789'), fromText('mnopqrstuvwxyz123456')]

// The queries of BEP 5, with our version before the last key.
const questions: readonly [string, KrpcValues, string][] = [
  ['ping', {}, 'd1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe'],
  [
    'find_node',
    { target: other },
    'd1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe'
  ],
  [
    'get_peers',
    { info_hash: other },
    'd1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe'
  ],
  [
    'announce_peer',
    { implied_port: 1, info_hash: other, port: 6881, token: fromText('aoeusnth') },
    'd1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe'
  ]
]
for (const [method, args, expected] of questions) {
  test(`BEP 5: ${method} of its examples, and back`, () => {
    const bytes = encodeQuery(fromText('aa'), method, { id: asker, ...args })
    assert.equal(withoutVersion(bytes), expected)
    const query = decodeKrpc(fromText(expected))
    assert.ok(query?.kind === 'query')
    assert.deepEqual([query.method, query.readOnly, toHex(query.id)], [method, false, toHex(asker)])
    assert.deepEqual(encode(query.args), encode({ id: asker, ...args }))
  })
}

// The answers of BEP 5, with the querier's address (BEP 42) and our version added.
const answers: readonly [string, Uint8Array, KrpcValues, string][] = [
  ['ping', other, {}, 'd1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re'],
  [
    'find_node',
    fromText('0123456789abcdefghij'),
    { nodes: fromText('def456...') },
    'd1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re'
  ],
  [
    'get_peers with peers',
    asker,
    { token: fromText('aoeusnth'), values: [fromText('axje.u'), fromText('idhtnm')] },
    'd1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re'
  ],
  [
    'get_peers with nodes',
    asker,
    { nodes: fromText('def456...'), token: fromText('aoeusnth') },
    'd1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re'
  ]
]
for (const [title, id, values, expected] of answers) {
  test(`BEP 5: the answer to ${title} of its examples, and back`, () => {
    const bytes = encodeResponse(fromText('aa'), { id, ...values }, { host: '192.0.2.1', port: 1 })
    assert.equal(withoutVersion(bytes).replace('2:ip6:\xc0\0\x02\x01\0\x01', ''), expected)
    const reply = decodeKrpc(fromText(expected))
    assert.ok(reply?.kind === 'response')
    assert.deepEqual(encode(reply.values), encode({ id, ...values }))
  })
}

test('BEP 5: the error of its examples, and back', () => {
  const expected = 'd1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee'
  const bytes = encodeError(fromText('aa'), 201, 'A Generic Error Ocurred', { host: '192.0.2.1', port: 1 })
  assert.equal(withoutVersion(bytes).replace('2:ip6:\xc0\0\x02\x01\0\x01', ''), expected)
  const error = decodeKrpc(fromText(expected))
  assert.ok(error?.kind === 'error')
  assert.deepEqual([error.code, error.message], [201, 'A Generic Error Ocurred'])
})

function withoutVersion(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace('1:v4:pw\0\x01', '')
}

test('BEP 32: compact nodes of both families survive encoding and decoding', () => {
  const id = randomBytes(20)
  const four = [{ id, host: '192.0.2.7', port: 6881 }]
  const six = [{ id, host: '2001:db8::7', port: 1 }]
  assert.equal(formatNodes(four).length, 26)
  assert.deepEqual(parseNodes(formatNodes(four), 4), four)
  assert.equal(formatNodes(six).length, 38)
  assert.deepEqual(parseNodes(formatNodes(six), 6), six)
  const mapped = Uint8Array.of(...id, ...hex('00000000000000000000ffff c0000207'), 1, 2)
  assert.deepEqual(parseNodes(mapped, 6), [])
})

test('BEP 33: the bloom filter and its estimate', () => {
  const filter = new BloomFilter()
  const half = new BloomFilter()
  for (let n = 0; n < 256; n++) filter.add(`192.0.2.${n}`)
  for (let n = 0; n < 1000; n++)
    half.add(hostOf(Uint8Array.of(...hex('20010db8'), ...Array(10).fill(0), n >> 8, n)))
  half.add('no address')
  filter.merge(half.bytes)
  filter.merge(new Uint8Array(3))
  assert.equal(
    toHex(filter.bytes),
    toHex(
      hex(`F6C3F5EA A07FFD91 BDE89F77 7F26FB2B FF37BDB8 FB2BBAA2 FD3DDDE7 BACFFF75 EE7CCBAE
        FE5EEDB1 FBFAFF67 F6ABFF5E 43DDBCA3 FD9B9FFD F4FFD3E9 DFF12D1B DF59DB53 DBE9FA5B
        7FF3B8FD FCDE1AFB 8BEDD7BE 2F3EE71E BBBFE93B CDEEFE14 8246C2BC 5DBFF7E7 EFDCF24F
        D8DC7ADF FD8FFFDF DDFFF7A4 BBEEDF5C B95CE81F C7FCFF1F F4FFFFDF E5F7FDCB B7FD79B3
        FA1FC77B FE07FFF9 05B7B7FF C7FEFEFF E0B8370B B0CD3F5B 7F2BD93F EB4386CF DD6F7FD5
        BFAF2E9E BFFFFEEC D67ADBF7 C67F17EF D5D75EBA 6FFEBA7F FF47A91E B1BFBB53 E8ABFB57
        62ABE8FF 237279BF EFBFEEF5 FFC5FEBF DFE5ADFF ADFEE1FB 737FFFFB FD9F6AEF FEEE76B6
        FD8F72EF`)
    )
  )
  assert.equal(Math.trunc(filter.estimate * 10_000), 12_249_308)
  assert.equal(new BloomFilter(filter.bytes).estimate, filter.estimate)
  assert.equal(new BloomFilter().estimate, 0)
})

const secureIds = [
  ['124.31.75.21', '5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401'],
  ['21.75.31.124', '5a3ce9c14e7a08645677bbd1cfe7d8f956d53256'],
  ['65.23.51.170', 'a5d43220bc8f112a3d426c84764f8c2a1150e616'],
  ['84.124.73.14', '1b0321dd1bb1fe518101ceef99462b947a01ff41'],
  ['43.213.53.83', 'e56f6cbf5b7c4be0237986d5243b87aa6d51305a'],
  ['2001:b829:2123:be84:e16c:d6ae:5290:49f1', '0a8ad123be84e16cd6ae529049f1f1bbe9ebb304']
] as const

for (const [host, id] of secureIds) {
  test(`BEP 42: ${host}`, () => {
    assert.equal(isSecureId(hex(id), host), true)
    const other = hex(id)
    other[0] = (other[0] ?? 0) ^ 0x80
    assert.equal(isSecureId(other, host), false)
    for (let n = 0; n < 20; n++) assert.equal(isSecureId(secureId(host, randomBytes), host), true)
  })
}

test('BEP 42: local addresses are exempt, and the checksum is Castagnoli', () => {
  for (const host of [
    '10.1.2.3',
    '172.16.3.4',
    '192.168.0.1',
    '169.254.1.1',
    '127.0.0.1',
    '::1',
    'fe80::1'
  ]) {
    assert.equal(isSecureId(new Uint8Array(20), host), true)
  }
  assert.equal(crc32c(fromText('123456789')), 0xe3069283)
  assert.equal(secureId('a.name', randomBytes).length, 20)
})

const publicKey = hex('77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548')
const hello = encode('Hello World!')
const items = [
  {
    salt: '',
    signed: '3:seqi1e1:v12:Hello World!',
    target: '4a533d47ec9c7d95b1ad75f576cffc641853b750',
    signature:
      '305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01'
  },
  {
    salt: 'foobar',
    signed: '4:salt6:foobar3:seqi1e1:v12:Hello World!',
    target: '411eba73b6f087ca51a3795d9c8c938d365e32c1',
    signature:
      '6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08'
  }
]

for (const { salt, signed, target, signature } of items) {
  test(`BEP 44: mutable, salt '${salt}'`, () => {
    const part = { publicKey, salt: fromText(salt), seq: 1, signature: hex(signature) }
    assert.equal(Buffer.from(signedBytes(hello, 1, part.salt)).toString(), signed)
    assert.equal(toHex(mutableTarget(publicKey, part.salt)), target)
    assert.equal(verifyItem(hello, part), true)
    assert.equal(verifyItem(hello, { ...part, seq: 2 }), false)
    assert.equal(verifyItem(hello, { ...part, seq: -1 }), false)
    assert.equal(verifyItem(hello, { ...part, salt: new Uint8Array(65) }), false)
    assert.equal(verifyItem(hello, { ...part, signature: new Uint8Array(64) }), false)
    assert.equal(verifyItem(encode('Hello world!'), part), false)
  })
}

test('BEP 44: immutable', () => {
  assert.equal(toHex(immutableTarget(hello)), 'e5f96f6f38320f0f33959cb4d3d656452117aadb')
})

test('RFC 8032: a seed gives the public key, and signs', () => {
  const key = privateKeyOf(hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'))
  assert.equal(toHex(publicKeyOf(key)), 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
  const part = signItem(hello, 7, fromText('s'), key)
  assert.equal(verifyItem(hello, part), true)
  assert.throws(
    () => privateKeyOf(new Uint8Array(64)),
    (error) => error instanceof TorrentError && error.code === 'ERR_DHT_ITEM'
  )
})

test('BEP 46: targets', () => {
  const key = hex('8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e')
  assert.equal(toHex(mutableTarget(key)), 'cc3f9d90b572172053626f9980ce261a850d050b')
  assert.equal(toHex(mutableTarget(key, hex('6e'))), '59ee7c2cb9b4f7eb1986ee2d18fd2fdb8a56554f')
})
