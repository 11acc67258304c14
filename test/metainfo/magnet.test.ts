import assert from 'node:assert/strict'
import test from 'node:test'
import { formatMagnet, type MagnetInput, parseMagnet } from '../../lib/metainfo/magnet.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { fc } from '../support/fast-check.ts'

const hex = '0123456789abcdef0123456789abcdef01234567'
const v1 = new Uint8Array(Buffer.from(hex, 'hex'))
const v2 = new Uint8Array(32).fill(0xab)
const link = `magnet:?xt=urn:btih:${hex}`

test('a minimal link', () => {
  assert.deepEqual(parseMagnet(link), { infoHashes: { v1 }, trackers: [], peers: [], webSeeds: [] })
})

test('all parameters', () => {
  const magnet = parseMagnet(
    `${link}&dn=My+file%20%C5%BE&xl=1234&tr=http%3A%2F%2Fa%2Fannounce&tr.1=udp://b:1&tr.2=udp://b:1` +
      '&ws=https%3A%2F%2Fw%2F&xs=http%3A%2F%2Fa%2Ft.torrent&x.pe=1.2.3.4:6881&x.pe=[2001:db8::1]:1&x.pe=host:5&x.pe=bad&so=0,2,4-6&x.unknown=1&as='
  )
  assert.deepEqual(magnet, {
    infoHashes: { v1 },
    name: 'My file ž',
    length: 1234,
    trackers: ['http://a/announce', 'udp://b:1'],
    webSeeds: ['https://w/'],
    exactSources: ['http://a/t.torrent'],
    peers: [
      { host: '1.2.3.4', port: 6881 },
      { host: '2001:db8::1', port: 1 },
      { host: 'host', port: 5 }
    ],
    selectOnly: [
      { start: 0, end: 1 },
      { start: 2, end: 3 },
      { start: 4, end: 7 }
    ]
  })
})

const hashes: [string, string, { v1?: Uint8Array; v2?: Uint8Array }][] = [
  ['upper-case hex', `xt=urn:btih:${hex.toUpperCase()}`, { v1 }],
  ['base32', 'xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH', { v1 }],
  ['lower-case base32', 'xt=urn:btih:aerukz4jvpg66ajdivtytk6n54asgrlh', { v1 }],
  ['an upper-case scheme', `XT=URN:BTIH:${hex}`, { v1 }],
  ['an encoded xt', `xt=urn%3Abtih%3A${hex}`, { v1 }],
  ['xt with a number', `xt.1=urn:btih:${hex}`, { v1 }],
  ['the same twice', `xt=urn:btih:${hex}&xt=urn:btih:${hex}`, { v1 }],
  ['v2', `xt=urn:btmh:1220${'ab'.repeat(32)}`, { v2 }],
  ['a hybrid', `xt=urn:btmh:1220${'ab'.repeat(32)}&xt=urn:btih:${hex}`, { v1, v2 }],
  ['other topics beside', `xt=urn:sha1:YNCKHTQCWBTRNJIV4WNAE52SJUQCZO5C&xt=urn:btih:${hex}`, { v1 }],
  ['HTML entities', `dn=a&amp;xt=urn:btih:${hex}`, { v1 }]
]
for (const [what, query, expected] of hashes) {
  test(`reads ${what}`, () => assert.deepEqual(parseMagnet(`magnet:?${query}`).infoHashes, expected))
}

const refused: [string, string][] = [
  ['nothing', ''],
  ['another scheme', `http://x/?xt=urn:btih:${hex}`],
  ['no xt', 'magnet:?dn=x'],
  ['a short hash', 'magnet:?xt=urn:btih:abcd'],
  ['a hash that is no hex', `magnet:?xt=urn:btih:${'g'.repeat(40)}`],
  ['a hash that is no base32', `magnet:?xt=urn:btih:${'1'.repeat(32)}`],
  ['another multihash', `magnet:?xt=urn:btmh:1114${'ab'.repeat(20)}`],
  ['two different hashes', `${link}&xt=urn:btih:${'0'.repeat(40)}`],
  ['an endless link', `${link}&dn=${'x'.repeat(2 ** 20)}`]
]
for (const [what, uri] of refused) {
  test(`refuses ${what}`, () => {
    assert.throws(
      () => parseMagnet(uri),
      (error: TorrentError) => error.code === 'ERR_METAINFO_MAGNET' && error.message.length < 500
    )
  })
}

test('broken percent signs are harmless', () => {
  assert.equal(parseMagnet(`${link}&dn=100%&tr=%zz`).name, '100%')
})

const selections: [string, number[][] | undefined][] = [
  ['3', [[3, 4]]],
  [
    '5,0-2,1-3',
    [
      [0, 4],
      [5, 6]
    ]
  ],
  ['0,1,2', [[0, 3]]],
  ['4-2', undefined],
  ['x,-1,1-', undefined],
  ['7,x', [[7, 8]]],
  ['0-9999999999', [[0, 10 ** 10]]],
  ['9999999999', [[9_999_999_999, 10 ** 10]]],
  [`0-${'9'.repeat(400)}`, [[0, 2 ** 40 + 1]]],
  ['9'.repeat(400), [[2 ** 40, 2 ** 40 + 1]]],
  [
    '1&so=3-4',
    [
      [1, 2],
      [3, 5]
    ]
  ],
  ['x&so=2&so=&so=0-1', [[0, 3]]]
]
for (const [so, expected] of selections) {
  test(`selects so=${so}`, () => {
    const ranges = parseMagnet(`${link}&so=${so}`).selectOnly
    assert.deepEqual(
      ranges?.map(({ start, end }) => [start, end]),
      expected
    )
  })
}

test('lists are bounded', () => {
  const many = Array.from(
    { length: 2000 },
    (_, n) => `&tr=udp://t:${n}&ws=http://w/${n}&x.pe=h:${n + 1}`
  ).join('')
  const { trackers, webSeeds, peers } = parseMagnet(link + many)
  const { exactSources } = parseMagnet(link + many.replaceAll('&tr=', '&xs='))
  assert.deepEqual(
    [trackers, webSeeds, peers, exactSources].map((list) => list?.length),
    [1000, 1000, 1000, 1000]
  )
  // No two of these files are adjacent.
  const files = (from: number): string => Array.from({ length: 9000 }, (_, n) => from + 2 * n).join()
  const { selectOnly } = parseMagnet(`${link}&so=${files(0)}&so=${files(18_000)}`)
  assert.equal(selectOnly?.length, 10_000)
})

test('formatMagnet writes links that parseMagnet reads', () => {
  const full = {
    infoHashes: { v1, v2 },
    name: 'a & b = č?#+%',
    trackers: ['http://t/announce?key=1&x=2', 'udp://[::1]:5'],
    peers: [{ host: '::1', port: 80 }],
    webSeeds: ['http://w/a b'],
    exactSources: ['http://a/t.torrent'],
    selectOnly: [
      { start: 0, end: 1 },
      { start: 3, end: 9 }
    ],
    length: 5
  }
  assert.deepEqual(parseMagnet(formatMagnet(full)), full)
  assert.equal(formatMagnet({ infoHashes: { v1 } }), link)
  assert.equal(parseMagnet(formatMagnet({ infoHashes: { v1 }, name: '\ud800' })).name, '\ufffd')
})

test('parameters of a magnet link beyond the first 4000 are ignored', () => {
  const others = (count: number): string => '&a=b'.repeat(count)
  assert.equal(parseMagnet(`${link}${others(3998)}&dn=last`).name, 'last')
  assert.equal(parseMagnet(`${link}${others(3999)}&dn=last`).name, undefined)
  assert.throws(() => parseMagnet(`magnet:?c=d${others(3999)}&xt=urn:btih:${hex}`), {
    code: 'ERR_METAINFO_MAGNET'
  })
})

test('formatMagnet refuses invalid hashes', () => {
  for (const infoHashes of [{}, { v1: v2 }, { v2: v1 }] satisfies MagnetInput['infoHashes'][]) {
    assert.throws(() => formatMagnet({ infoHashes }), { code: 'ERR_METAINFO_MAGNET' })
  }
})

test('any text after the question mark is read or refused', () => {
  const key = fc.constantFrom('xt', 'tr', 'ws', 'x.pe', 'so', 'xl', 'dn', 'xt.1')
  const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constant(`urn:btih:${hex}`), fc.constant('1-2'))
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value)), (pairs) => {
      try {
        parseMagnet(`magnet:?${pairs.map(([k, v]) => `${k}=${v}`).join('&')}`)
      } catch (error) {
        assert.ok(error instanceof TorrentError, String(error))
      }
    })
  )
})
