import { deflateRawSync, gzipSync } from 'node:zlib'

/** The expected result of an announce. */
export type Verdict =
  | {
      readonly peers: readonly string[]
      /** Undefined when the reply has no usable one. */
      readonly intervalMs: number | undefined
      /** The text of the single warning; undefined when there is none. */
      readonly warns?: RegExp
    }
  | {
      readonly code: string
      readonly message: RegExp
      readonly retryInMs?: number
    }

/** A reply in bytes, and its expected result. */
export interface OddReply {
  readonly title: string
  readonly bytes: Buffer
  readonly verdict: Verdict
}

const latin = (text: string): Buffer => Buffer.from(text, 'latin1')
const address = '\x7f\0\0\x01\x1a\xe1'
const me = '127.0.0.1:6881'
const compact = `5:peers6:${address}`
const usual = `d8:intervali1800e${compact}e`
const halfHour = 1_800_000

/** The verdict of a normal reply: one peer, and half an hour. */
const fine: Verdict = { peers: [me], intervalMs: halfHour }
const noInterval: Verdict = { peers: [me], intervalMs: undefined }
const noPeers: Verdict = { peers: [], intervalMs: halfHour }
const but = (verdict: Verdict, warns: RegExp): Verdict => ({ ...verdict, warns }) as Verdict
const malformed = (message: RegExp): Verdict => ({ code: 'ERR_TRACKER_RESPONSE', message })
const refused = (message: RegExp, retryInMs?: number): Verdict => ({
  code: 'ERR_TRACKER_FAILURE',
  message,
  ...(retryInMs === undefined ? {} : { retryInMs })
})

interface Shape {
  readonly status?: string
  /** Complete header lines. */
  readonly headers?: readonly string[]
  /** The value of Content-Length; null omits the header. Default: the true length. */
  readonly length?: string | null
  readonly lineEnd?: string
}

function http(body: string | Buffer, shape: Shape = {}): Buffer {
  const { status = 'HTTP/1.1 200 OK', headers = [], lineEnd = '\r\n' } = shape
  const content = typeof body === 'string' ? latin(body) : body
  const length = shape.length === undefined ? String(content.length) : shape.length
  const lines = [status, ...headers, ...(length === null ? [] : [`Content-Length: ${length}`])]
  return Buffer.concat([latin([...lines, 'Connection: close', '', ''].join(lineEnd)), content])
}

const chunk = (size: string, end: string): string => `${size}\r\n${usual}\r\n${end}`
const sized = usual.length.toString(16)
const chunked = 'Transfer-Encoding: chunked'
const entry = (ip: string, port: string, more = ''): string => `d2:ip${ip.length}:${ip}${more}4:port${port}e`
const list = (...entries: readonly string[]): string => `d8:intervali1800e5:peersl${entries.join('')}ee`
const good = entry('127.0.0.1', 'i6881e')
const moved = (status: string, location: string, name = 'Location'): Buffer =>
  latin(`HTTP/1.1 ${status}\r\n${name}: ${location}\r\nContent-Length: 0\r\n\r\n`)

type Row = readonly [title: string, reply: Buffer | string, verdict: Verdict]

const values: readonly Row[] = [
  ['the usual answer', usual, fine],
  ['a second list of peers behind the value', `${usual}6:peers60:`, but(fine, /10 bytes follow the value/)],
  ['a line feed behind the value', `${usual}\n`, fine],
  ['a whole line end behind the value', `${usual}\r\n`, fine],
  ['a comment of the web server behind the value', `${usual}<!-- 0.01s -->`, but(fine, /14 bytes follow/)],
  ['a line feed before the value', `\n${usual}`, malformed(/a value is expected/)],
  ['a byte order mark before the value', `\xef\xbb\xbf${usual}`, malformed(/a value is expected/)],
  ['nothing at all', '', malformed(/it is empty/)],
  ['a web page', '<html>hi</html>', malformed(/begins with '<html>/)],
  ['an empty dictionary', 'de', but({ peers: [], intervalMs: undefined }, /neither peers nor interval/)],
  [
    'counts alone',
    'd8:completei1e10:incompletei0ee',
    but({ peers: [], intervalMs: undefined }, /complete, incomplete/)
  ],
  [
    'a warning alone',
    'd15:warning message5:helloe',
    but({ peers: [], intervalMs: undefined }, /warning message/)
  ],
  ['an interval without peers', 'd8:intervali1800ee', noPeers],
  ['a warning beside peers', `d8:intervali1800e${compact}15:warning message5:helloe`, fine],
  ['an address of ours as text', `d11:external ip9:127.0.0.18:intervali1800e${compact}e`, fine],
  ['a key that is no UTF-8', `d2:\xff\xfei1e8:intervali1800e${compact}e`, fine],
  ['keys out of order', `d${compact}8:intervali1800ee`, fine],
  ['a key that comes twice', `d8:intervali1800e8:intervali60e${compact}e`, fine],
  ['counts that are text', `d8:complete1:58:intervali1800e${compact}e`, fine]
]

const numbers: readonly Row[] = [
  ['an interval that is text', `d8:interval4:1800${compact}e`, noInterval],
  ['an interval of 0', `d8:intervali0e${compact}e`, noInterval],
  ['an interval below 0', `d8:intervali-5e${compact}e`, noInterval],
  [
    'an interval of 3,000 years',
    `d8:intervali99999999999e${compact}e`,
    { peers: [me], intervalMs: 99_999_999_999_000 }
  ],
  ['an integer with a leading zero', `d8:intervali01800e${compact}e`, fine],
  ['an integer with a plus sign', `d8:intervali+1800e${compact}e`, malformed(/a digit is expected/)],
  ['an integer with a fraction', `d8:intervali1800.0e${compact}e`, malformed(/a digit or 'e'/)],
  ['an integer without digits', `d8:completeie8:intervali1800e${compact}e`, malformed(/a digit is expected/)]
]

const peers: readonly Row[] = [
  ['an empty dictionary of peers', 'd8:intervali1800e5:peersdee', noPeers],
  ['an empty list of peers', 'd8:intervali1800e5:peerslee', noPeers],
  ['a number for peers', 'd8:intervali1800e5:peersi0ee', but(noPeers, /peers is neither/)],
  ['a number for peers of IPv6', `d8:intervali1800e${compact}6:peers6i1ee`, but(fine, /peers6 is neither/)],
  ['an empty dictionary of peers of IPv6', `d8:intervali1800e${compact}6:peers6dee`, fine],
  ['an empty list of peers of IPv6', `d8:intervali1800e${compact}6:peers6lee`, fine],
  ['a compact list with a byte too many', `d8:intervali1800e5:peers7:${address}xe`, fine],
  ['peers as dictionaries', list(entry('127.0.0.1', 'i6881e', '7:peer id20:-ZZ0000-abcdefghijkl')), fine],
  ['an IPv4 peer in IPv6', list(entry('::ffff:127.0.0.1', 'i6881e', '7:peer id3:abc')), fine],
  ['a port that is text', list(entry('127.0.0.1', '4:6881')), but(noPeers, /1 of 1 peers/)],
  ['a port of 0 among others', list(entry('127.0.0.1', 'i0e'), good), fine],
  ['a port above 65535', list(entry('127.0.0.1', 'i70000e')), but(noPeers, /1 of 1 peers/)],
  ['a peer that is text among others', list('3:abc', good), but(fine, /1 of 2 peers/)],
  ['a peer without an address among others', list('d4:porti1ee', good), but(fine, /1 of 2 peers/)],
  ['a list of nothing but text', list(`6:${address}`), malformed(/no dictionary/)]
]

const failures: readonly Row[] = [
  [
    'a refusal with an interval',
    `d14:failure reason3:bad8:intervali300e${compact}e`,
    refused(/refused: bad/, 300_000)
  ],
  [
    'a refusal without a reason',
    `d14:failure reason0:8:intervali300e${compact}e`,
    refused(/no reason given/, 300_000)
  ],
  [
    'a refusal with a time to come back',
    'd14:failure reason3:bad8:retry ini5ee',
    refused(/refused: bad/, 300_000)
  ],
  [
    'a refusal that is a list',
    'd14:failure reasonl3:badee',
    but({ peers: [], intervalMs: undefined }, /not text/)
  ],
  [
    'a refusal that is a number',
    `d14:failure reasoni0e8:intervali300e${compact}e`,
    but({ peers: [me], intervalMs: 300_000 }, /not text/)
  ]
]

const codings: readonly Row[] = [
  ['gzip', http(gzipSync(latin(usual)), { headers: ['Content-Encoding: gzip'] }), fine],
  [
    'gzip and a line end',
    http(Buffer.concat([gzipSync(latin(usual)), latin('\r\n')]), { headers: ['Content-Encoding: gzip'] }),
    fine
  ],
  ['gzip that is not named', http(gzipSync(latin(usual))), malformed(/a value is expected/)],
  [
    'gzip that is none',
    http(usual, { headers: ['Content-Encoding: gzip'] }),
    malformed(/gzip answer is broken/)
  ],
  [
    'deflate without its header',
    http(deflateRawSync(latin(usual)), { headers: ['Content-Encoding: deflate'] }),
    fine
  ],
  ['the coding utf-8', http(usual, { headers: ['Content-Encoding: utf-8'] }), fine],
  ['the coding none', http(usual, { headers: ['Content-Encoding: none'] }), fine],
  [
    'the coding binary',
    http(usual, { headers: ['Content-Transfer-Encoding: binary', 'Content-Encoding: binary'] }),
    fine
  ]
]

const framing: readonly Row[] = [
  ['chunks', http(chunk(sized, '0\r\n\r\n'), { headers: [chunked], length: null }), fine],
  [
    'chunks in HTTP/1.0',
    http(chunk(sized, '0\r\n\r\n'), { status: 'HTTP/1.0 200 OK', headers: [chunked], length: null }),
    fine
  ],
  [
    'chunks and a length',
    http(chunk(sized, '0\r\n\r\n'), { headers: [chunked], length: String(usual.length) }),
    fine
  ],
  ['chunks without the last one', http(chunk(sized, ''), { headers: [chunked], length: null }), fine],
  [
    'a chunk with an extension',
    http(chunk(`00${sized.toUpperCase()};a=b`, '0\r\n\r\n'), { headers: [chunked], length: null }),
    fine
  ],
  ['the transfer coding identity', http(usual, { headers: ['Transfer-Encoding: identity'] }), fine],
  ['no length in HTTP/1.0', http(usual, { status: 'HTTP/1.0 200 OK', length: null }), fine],
  ['no length in HTTP/1.1', http(usual, { length: null }), fine],
  ['a length that is too long', http(usual, { length: String(usual.length + 10) }), fine],
  ['a length that is too short', http(usual, { length: String(usual.length - 1) }), fine],
  ['bytes beyond the length', http(`${usual}\r\n`, { length: String(usual.length) }), fine],
  ['a length with a space behind it', http(usual, { length: `${usual.length} ` }), fine],
  ['the same length twice', http(usual, { headers: [`Content-Length: ${usual.length}`] }), fine],
  ['a length in quotes', http(usual, { length: `"${usual.length}"` }), fine],
  ['a length without digits', http(usual, { length: '' }), fine]
]

const heads: readonly Row[] = [
  ['no head', latin(usual), malformed(/does not speak HTTP/)],
  ['line feeds alone', http(usual, { lineEnd: '\n' }), fine],
  [
    'line feeds alone in HTTP/1.0',
    http(usual, { status: 'HTTP/1.0 200 OK', length: null, lineEnd: '\n' }),
    fine
  ],
  ['a status line with a line feed alone', http(usual, { status: 'HTTP/1.1 200 OK\nServer: x' }), fine],
  ['a space in the name of a header', http(usual, { headers: ['Content Type: text/plain'] }), fine],
  ['a space before a colon', http(usual, { headers: ['X-Some : thing'] }), fine],
  ['a header without a colon', http(usual, { headers: ['whatever'] }), fine],
  ['a control character in a header', http(usual, { headers: ['X-Some: a\x01b'] }), fine],
  ['latin letters in a header', http(usual, { headers: ['Server: caf\xe9'] }), fine],
  ['a header of two lines', http(usual, { headers: ['X-Some: a\r\n b'] }), fine],
  ['a header without a name', http(usual, { headers: [': thing'] }), fine],
  ['a semicolon behind a header', http(usual, { headers: ['Pragma: no-cache;'] }), fine],
  ['forty headers', http(usual, { headers: Array.from({ length: 40 }, (_, n) => `X-${n}: v`) }), fine],
  ['a cookie of 20 kB', http(usual, { headers: [`Set-Cookie: ${'c'.repeat(20_000)}`] }), fine]
]

const statuses: readonly Row[] = [
  ['a status without words', http(usual, { status: 'HTTP/1.1 200' }), fine],
  [
    'a refusal in a good status',
    http('d14:failure reason14:not authorizede', { status: 'HTTP/1.1 200 Not Authorized' }),
    refused(/not authorized/)
  ],
  ['status 202', http(usual, { status: 'HTTP/1.1 202 Accepted' }), refused(/HTTP status 202/)],
  ['HTTP/2.0 in plain text', http(usual, { status: 'HTTP/2.0 200 OK' }), fine],
  ['another protocol', http(usual, { status: 'ICY 200 OK' }), malformed(/does not speak HTTP/)],
  [
    'a refusal in status 400',
    http('d14:failure reason3:bade', { status: 'HTTP/1.1 400 Bad Request' }),
    refused(/refused: bad/)
  ],
  [
    'a page in status 404',
    http('not found', { status: 'HTTP/1.1 404 Not Found' }),
    refused(/HTTP status 404/)
  ],
  ['peers in status 500', http(usual, { status: 'HTTP/1.1 500 Oops' }), refused(/HTTP status 500/)],
  ['100 Continue first', Buffer.concat([latin('HTTP/1.1 100 Continue\r\n\r\n'), http(usual)]), fine],
  [
    'early hints first',
    Buffer.concat([latin('HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'), http(usual)]),
    fine
  ],
  ['a redirect to a relative path', moved('302 Found', '../good/announce'), fine],
  ['a redirect to an absolute path', moved('301 Moved', '/good/announce?x=1'), fine],
  ['a redirect with a space in it', moved('302 Found', '/good/announce?a b=c'), fine],
  ['a redirect with UTF-8 in it', moved('302 Found', '/good/announce?n=\xc3\xa9'), fine],
  ['a redirect in small letters', moved('302 found', '/good/announce', 'location'), fine],
  ['a redirect by status 300', moved('300 Multiple', '/good/announce'), fine],
  ['a redirect by status 304', moved('304 Not Modified', '/good/announce'), fine]
]

/** Replies that trackers were seen to send, or that a broken one might. The usable part of each is used. */
export const oddReplies: readonly OddReply[] = [
  ...values,
  ...numbers,
  ...peers,
  ...failures,
  ...codings,
  ...framing,
  ...heads,
  ...statuses
].map(([title, reply, verdict]) => ({
  title,
  bytes: typeof reply === 'string' ? http(reply) : reply,
  verdict
}))

/** The target of redirects: the usual answer. */
export const goodReply: Buffer = http(usual)
