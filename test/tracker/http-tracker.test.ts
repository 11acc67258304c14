import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { encode } from '../../lib/bencode/encode.ts'
import { Network } from '../../lib/net/network.ts'
import { type HttpAnnounceOptions, httpAnnounce, httpScrape } from '../../lib/tracker/http-tracker.ts'
import type { AnnounceParameters, TrackerReply } from '../../lib/tracker/request.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { certificate } from './certificate.ts'
import { httpTracker, replyWith } from './http-server.ts'

const parameters: AnnounceParameters = {
  infoHash: Uint8Array.from({ length: 20 }, (_, n) => n * 13),
  peerId: Buffer.from('-PW0100-~._!(x) abcd'),
  port: 6881,
  uploaded: 10,
  downloaded: 20,
  left: 30,
  key: 0xbeef,
  numwant: 80
}
const body = encode({ interval: 900, peers: Uint8Array.of(127, 0, 0, 1, 0x1a, 0xe1) })
const onePeer = [{ host: '127.0.0.1', port: 6881 }]

function ask(
  url: string,
  options: HttpAnnounceOptions = {},
  more: Partial<AnnounceParameters> = {}
): Promise<TrackerReply> {
  return httpAnnounce(
    new Network().http,
    new URL(url),
    { ...parameters, ...more },
    { trust: 'program', ...options }
  )
}

const code =
  (expected: string, pattern = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof TorrentError, String(error))
    assert.equal(error.code, expected, error.message)
    assert.match(error.message, pattern)
    assert.ok(error.message.length < 400)
    return true
  }

test('appends parameters to those of the URL, raw bytes percent-encoded', async () => {
  await using tracker = await httpTracker(replyWith({ interval: 5, peers: '' }))
  const trackerId = Uint8Array.of(0, 0x41, 0xff)
  await ask(`${tracker.url}?passkey=a%2Fb`, {}, { event: 'started', trackerId })
  const [request] = tracker.requests
  assert.equal(
    request?.url,
    '/announce?passkey=a%2Fb&info_hash=%00%0D%1A%274AN%5Bhu%82%8F%9C%A9%B6%C3%D0%DD%EA%F7'.replace(
      'ANAN',
      'AN'
    ) +
      '&peer_id=-PW0100-~._%21%28x%29%20abcd&port=6881&uploaded=10&downloaded=20&left=30&compact=1&no_peer_id=1' +
      '&numwant=80&key=0000BEEF&event=started&trackerid=%00A%FF'
  )
  assert.match(request.headers['user-agent'] ?? '', /^piecewise\/\d/)
  assert.equal(request.headers.connection, 'close')
  assert.equal(request.headers.authorization, undefined)
})

test('credentials in the URL become basic authentication', async () => {
  await using tracker = await httpTracker(replyWith({ interval: 5, peers: '' }))
  await ask(tracker.url.replace('//', '//us%40er:p%20w@'))
  await ask(tracker.url.replace('//', '//%zz@'))
  const sent = tracker.requests.map(({ headers }) => headers.authorization?.replace('Basic ', '') ?? '')
  assert.deepEqual(
    sent.map((text) => Buffer.from(text, 'base64').toString()),
    ['us@er:p w', '%zz:']
  )
})

test('compressed answers are decompressed', async () => {
  const packings: [string, Uint8Array][] = [
    ['gzip', gzipSync(body)],
    ['x-gzip', gzipSync(body)],
    ['deflate', deflateSync(body)],
    ['deflate', deflateRawSync(body)],
    ['identity', body]
  ]
  await using tracker = await httpTracker((_request, response) => {
    const [encoding, packed] = packings.shift() ?? ['', body]
    response.writeHead(200, { 'Content-Encoding': encoding })
    // In two chunks.
    response.write(packed.subarray(0, 9))
    setImmediate(() => response.end(packed.subarray(9)))
  })
  while (packings.length > 0) assert.deepEqual((await ask(tracker.url)).peers, onePeer)
})

test('accepts HTTPS with a trusted certificate only', async () => {
  await using tracker = await httpTracker((_request, response) => response.end(body), { secure: true })
  assert.deepEqual((await ask(tracker.url, { ca: certificate })).peers, onePeer)
  const named = tracker.url.replace('127.0.0.1', 'localhost')
  assert.deepEqual((await ask(named, { ca: [certificate], family: 4 })).peers, onePeer)
  await assert.rejects(ask(tracker.url), code('ERR_TRACKER_NETWORK', /SELF_SIGNED|certificate/i))
})

test('reaches IPv6, and keeps to the requested family and local address', async () => {
  await using tracker = await httpTracker((_request, response) => response.end(body), { host: '::1' })
  assert.deepEqual((await ask(tracker.url)).peers, onePeer)
  const named = tracker.url.replace('[::1]', 'tracker.example')
  const lookup = async (): Promise<string[]> => ['127.0.0.1', '::1']
  assert.deepEqual((await ask(named, { lookup, family: 6, localAddress: '::1' })).peers, onePeer)
  // Without a family, the one that answers is found.
  assert.deepEqual((await ask(named, { lookup })).peers, onePeer)
  await assert.rejects(
    ask(named, { lookup: async () => ['127.0.0.1'], family: 6 }),
    code('ERR_TRACKER_NETWORK', /ENOTFOUND/)
  )
  await assert.rejects(
    ask(named, { lookup: async () => Promise.reject(new Error('no resolver')) }),
    code('ERR_TRACKER_NETWORK', /no resolver/)
  )
})

const failures: [string, Parameters<typeof httpTracker>[0], string, RegExp][] = [
  [
    'a failure reason',
    replyWith({ 'failure reason': 'not\x07here' }),
    'ERR_TRACKER_FAILURE',
    /refused: not here/
  ],
  ['an HTTP error', (_q, r) => void r.writeHead(404).end('<html>'), 'ERR_TRACKER_FAILURE', /HTTP status 404/],
  [
    'a failure reason in an HTTP error',
    (_q, r) => void r.writeHead(403).end(encode({ 'failure reason': 'banned' })),
    'ERR_TRACKER_FAILURE',
    /banned/
  ],
  ['a web page', (_q, r) => void r.end('<html>hello\n'), 'ERR_TRACKER_RESPONSE', /begins with '<html>hello'/],
  ['nothing', (_q, r) => void r.end(), 'ERR_TRACKER_RESPONSE', /it is empty/],
  ['a list', replyWith([1]), 'ERR_TRACKER_RESPONSE', /no dictionary/],
  ['peers that are numbers', replyWith({ peers: [1] }), 'ERR_TRACKER_RESPONSE', /no dictionary/],
  ['deep nesting', (_q, r) => void r.end('l'.repeat(500_000)), 'ERR_TRACKER_RESPONSE', /malformed/],
  ['a huge body', (_q, r) => void r.end(Buffer.alloc(1_100_000)), 'ERR_TRACKER_RESPONSE', /longer than/],
  [
    'an endless body',
    (_q, r) => {
      const more = (): void => {
        if (!r.destroyed) r.write(Buffer.alloc(100_000), () => setImmediate(more))
      }
      more()
    },
    'ERR_TRACKER_RESPONSE',
    /longer than/
  ],
  [
    'a gzip bomb',
    (_q, r) => void r.writeHead(200, { 'Content-Encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000))),
    'ERR_TRACKER_RESPONSE',
    /inflates beyond/
  ],
  [
    'broken gzip',
    (_q, r) => void r.writeHead(200, { 'Content-Encoding': 'gzip' }).end('nonsense'),
    'ERR_TRACKER_RESPONSE',
    /gzip answer is broken/
  ],
  [
    'an unknown packing',
    (_q, r) => void r.writeHead(200, { 'Content-Encoding': 'br' }).end('nonsense'),
    'ERR_TRACKER_RESPONSE',
    /not asked for/
  ],
  [
    'a body that breaks off',
    (_q, r) => {
      r.writeHead(200, { 'Content-Length': 100 })
      r.write('d8:', () => setImmediate(() => r.destroy()))
    },
    'ERR_TRACKER_NETWORK',
    /ECONNRESET|closed/
  ],
  [
    'a connection that is dropped',
    (q) => void q.socket.destroy(),
    'ERR_TRACKER_NETWORK',
    /ECONNRESET|closed/
  ],
  [
    'a redirect to nowhere',
    (_q, r) => void r.writeHead(302).end(),
    'ERR_TRACKER_RESPONSE',
    /without a Location/
  ],
  [
    'a redirect to a file',
    (_q, r) => void r.writeHead(302, { Location: 'file:///etc/passwd' }).end(),
    'ERR_TRACKER_RESPONSE',
    /neither http nor https/
  ],
  [
    'a redirect to nonsense',
    (_q, r) => void r.writeHead(302, { Location: 'http://[' }).end(),
    'ERR_TRACKER_RESPONSE',
    /neither http nor https/
  ],
  [
    'a redirect to itself',
    (q, r) => void r.writeHead(302, { Location: q.url }).end(),
    'ERR_TRACKER_RESPONSE',
    /circle/
  ],
  [
    'ever new redirects',
    (q, r) => void r.writeHead(307, { Location: `${q.url}&again=1` }).end(),
    'ERR_TRACKER_RESPONSE',
    /more than 5/
  ],
  [
    'a redirect to another path of this machine',
    (_q, r) => void r.writeHead(302, { Location: '/shutdown' }).end(),
    'ERR_TRACKER_URL',
    /refused/
  ]
]
for (const [title, answer, expected, pattern] of failures) {
  test(`${title} is refused with a reason`, async () => {
    await using tracker = await httpTracker(answer)
    const trust = expected === 'ERR_TRACKER_URL' ? 'remote' : 'program'
    await assert.rejects(ask(tracker.url, { trust }), code(expected, pattern))
  })
}

const talk: [string, string, string, RegExp][] = [
  ['what is no HTTP', 'SSH-2.0-OpenSSH\r\n', 'ERR_TRACKER_RESPONSE', /does not speak HTTP/],
  [
    'an upgrade',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    'ERR_TRACKER_NETWORK',
    /closed|hang up|ECONNRESET/
  ]
]
for (const [title, text, expected, pattern] of talk) {
  test(`${title} is refused with a reason`, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write(text))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    await assert.rejects(ask(`http://127.0.0.1:${port}/announce`), code(expected, pattern))
    await new Promise((resolve) => server.close(resolve))
    await assert.rejects(
      ask(`http://127.0.0.1:${port}/announce`),
      code('ERR_TRACKER_NETWORK', /ECONNREFUSED/)
    )
  })
}

test('slow servers hit the overall and the idle limit, a signal ends the wait', async () => {
  const waiting: (() => void)[] = []
  await using tracker = await httpTracker((_request, response) => {
    response.write('d')
    waiting.shift()?.()
  })
  await assert.rejects(ask(tracker.url, { timeoutMs: 20 }), code('ERR_TRACKER_TIMEOUT', /20 ms/))
  await assert.rejects(ask(tracker.url, { idleTimeoutMs: 20 }), code('ERR_TRACKER_TIMEOUT', /silent/))
  const controller = new AbortController()
  waiting.push(() => controller.abort(new Error('enough')))
  await assert.rejects(ask(tracker.url, { signal: controller.signal }), /enough/)
  await assert.rejects(ask(tracker.url, { signal: controller.signal }), /enough/)
})

test('follows redirects across hosts and protocols without credentials', async () => {
  await using last = await httpTracker((_request, response) => response.end(body), { secure: true })
  await using first = await httpTracker((request, response) => {
    const to = request.url?.startsWith('/announce?x') ? last.url : '/announce?x=1'
    response.writeHead(301, { Location: to }).end()
  })
  const reply = await ask(first.url.replace('//', '//me:pw@'), { ca: certificate })
  assert.deepEqual(reply.peers, onePeer)
  assert.deepEqual(
    first.requests.map(({ headers }) => headers.authorization !== undefined),
    [true, true]
  )
  assert.equal(last.requests[0]?.headers.authorization, undefined)
})

test('a redirect may not lead to a more local network', async () => {
  await using inner = await httpTracker((_request, response) => response.end(body))
  let to = ''
  await using outer = await httpTracker(
    (_request, response) => void response.writeHead(302, { Location: to }).end(),
    {
      host: '::1'
    }
  )
  const scopeOf = (address: string): 'global' | 'private' => (address === '::1' ? 'global' : 'private')
  const lookup = async (name: string): Promise<string[]> => [name === 'outer.example' ? '::1' : '127.0.0.1']
  const start = outer.url.replace('[::1]', 'outer.example')
  for (const host of ['127.0.0.1', 'inner.example', 'localhost', '0x7f.1']) {
    to = inner.url.replace('127.0.0.1', host)
    await assert.rejects(ask(start, { scopeOf, lookup }), code('ERR_TRACKER_URL', /more local/))
  }
  assert.equal(inner.requests.length, 0)
  to = `${start}?again=1`
  await assert.rejects(ask(start, { scopeOf, lookup }), code('ERR_TRACKER_RESPONSE', /circle/))
})

test('a tracker names no peer that is nearer to us than its own address', async () => {
  const hosts = ['9.9.9.9', '192.168.0.9', '169.254.169.254', '127.0.0.1']
  const peers = Buffer.concat(hosts.map((host) => Uint8Array.of(...host.split('.').map(Number), 0, 80)))
  await using tracker = await httpTracker(replyWith({ interval: 900, peers }))
  const lookup = async (): Promise<string[]> => ['127.0.0.1']
  const named = tracker.url.replace('127.0.0.1', 'tracker.example')
  for (const [scope, taken] of [
    ['global', hosts.slice(0, 1)],
    ['private', hosts.slice(0, 3)],
    ['loopback', hosts]
  ] as const) {
    for (const url of [tracker.url, named]) {
      const reply = await ask(url, { scopeOf: () => scope, lookup })
      assert.deepEqual(
        reply.peers.map(({ host }) => host),
        taken
      )
    }
  }
})

test("a caller's agent sends the request", async () => {
  await using tracker = await httpTracker((_request, response) => response.end(body))
  const { Agent } = await import('node:http')
  const agent = new Agent()
  const asked: string[] = []
  const options: HttpAnnounceOptions = {
    agent: (url) => {
      asked.push(url.host)
      return agent
    }
  }
  assert.deepEqual((await ask(tracker.url, options)).peers, onePeer)
  assert.deepEqual(asked, [new URL(tracker.url).host])
  agent.destroy()
})

test('scrapes by the scrape URL', async () => {
  const known = parameters.infoHash
  const unknown = new Uint8Array(20)
  const files = new Map([[known, { complete: 4, incomplete: -2, downloaded: 9 }]])
  await using tracker = await httpTracker(replyWith({ files }))
  const results = await httpScrape(new Network().http, new URL(`${tracker.url}.php?k=v`), [known, unknown], {
    trust: 'program'
  })
  assert.deepEqual(results, [{ complete: 4, incomplete: 0, downloaded: 9 }, undefined])
  assert.match(tracker.requests[0]?.url ?? '', /^\/scrape\.php\?k=v&info_hash=%00%0D.*&info_hash=(%00){20}$/)
  await assert.rejects(
    httpScrape(new Network().http, new URL('http://x.example/a'), [known]),
    code('ERR_TRACKER_URL', /scraped/)
  )
  await using empty = await httpTracker(replyWith({ interval: 1 }))
  await assert.rejects(
    httpScrape(new Network().http, new URL(empty.url), [known]),
    code('ERR_TRACKER_RESPONSE', /no files/)
  )
})
