import { isIP } from 'node:net'
import { hostOfUrl, serverName } from '../../../lib/net/url-host.ts'
import { trackerGuard } from '../../../lib/tracker/tracker-guard.ts'
import { parseTrackerUrl, scrapeUrl, withParameters } from '../../../lib/tracker/tracker-url.ts'
import {
  canonicalHost,
  formatAddress,
  formatCompact,
  hostBytes,
  hostOf,
  isLoopback,
  parseAddress,
  parseCompact,
  readAddress
} from '../../../lib/util/address.ts'
import { ipScope } from '../../../lib/util/ip-scope.ts'
import { decodePercent, redactText, redactUrl, withoutSecrets } from '../../../lib/util/redact.ts'
import type { Target } from '../target.ts'

/** Addresses as text and packed. */
export const address: Target = {
  name: 'address',
  grammar: 'text',
  corpus: ['address'],
  words: [
    '[',
    ']:',
    ':6881',
    '::',
    '::ffff:',
    'fe80::',
    '%eth0',
    '127.0.0.1',
    '64:ff9b::',
    '0',
    '65536',
    'localhost'
  ],
  maxBytes: 4096,
  run(input, check) {
    const packed = ([4, 6] as const).map((family) => {
      const list = check.turn(() => parseCompact(input, family))
      for (const one of list) {
        const bytes = formatCompact(one)
        const again = bytes === undefined ? [] : parseCompact(bytes, bytes.length === 6 ? 4 : 6)
        check.equal(again, [one], 'parseCompact(formatCompact(x)) is not x')
        check.equal(readAddress(formatAddress(one)), one, 'readAddress(formatAddress(x)) is not x')
      }
      return list.length
    })
    const text = Buffer.from(input).toString()
    const canonical = check.turn(() => canonicalHost(text))
    check.equal(canonicalHost(canonical), canonical, 'canonicalHost() does not settle')
    const bytes = hostBytes(text)
    check.equal(bytes !== undefined, isIP(text) !== 0, 'an address has no bytes')
    if (bytes !== undefined)
      check.equal(isLoopback(hostOf(bytes)), isLoopback(text), 'a spelling changes the scope')
    if (isLoopback(text)) check.that(ipScope(text) !== 'global', 'loopback is global')
    const parsed = check.turn(() => parseAddress(text))
    check.equal(parseAddress(formatAddress(parsed)), parsed, 'parseAddress(formatAddress(x)) is not x')
    check.that(parsed.port >= 1 && parsed.port <= 65535, 'a port is out of bounds')
    return [parsed, packed, ipScope(parsed.host)]
  }
}

/** Tracker URLs, and the parts that messages may show. */
export const trackerUrl: Target = {
  name: 'tracker-url',
  grammar: 'text',
  corpus: ['tracker-url'],
  seeds: () => ['a.'.repeat(32_000), `http://a${'.:;'.repeat(20_000)}x`],
  words: [
    ...[
      'http://',
      'https://',
      'udp://',
      'user:geheimnis@',
      '/announce',
      '/scrape',
      '/geheimnis/announce',
      '?passkey=geheimnis'
    ],
    ...[
      '?info_hash=',
      '&port=1',
      '127.0.0.1',
      '[::1]',
      '0x7f.1',
      '2130706433',
      'localhost',
      '%2e%2e',
      ';',
      '\\',
      ':0',
      ':80'
    ]
  ],
  maxBytes: 64 << 10,
  run(input, check) {
    const text = Buffer.from(input).toString()
    const shown = check.turn(() => redactUrl(text))
    if (
      /^(?:https?|udp):\/\/[a-z.]*(?::\d{1,4})?\/(?:geheimnis\/announce|announce\?passkey=geheimnis)$/.test(
        text
      )
    )
      check.that(!shown.includes('geheimnis'), `a secret is shown: ${shown}`)
    check.turn(() => redactText(text))
    check.that(decodePercent(text).length <= text.length, 'a decoded text is longer')
    const url = check.turn(() => parseTrackerUrl(text))
    const host = hostOfUrl(url)
    check.that(!/[\s/?#@]/.test(host), `a host has separators: ${host}`)
    check.that(!serverName(url).includes('@'), 'the name of a tracker has a password')
    // Texts of servers are cut before they are shown.
    check.turn(() => withoutSecrets(`it said ${text.slice(-400)}`, url))
    const full = withParameters(url, 'info_hash=%00')
    check.that(full.search.endsWith('info_hash=%00') && full.hash === '', 'parameters are lost')
    const refusals = (['loopback', 'private'] as const).map(
      (scope) => trackerGuard(url)(scope, 0) === undefined
    )
    if (refusals[0])
      check.that(
        /\/(?:announce|scrape)$/.test(url.pathname) || url.protocol === 'udp:',
        'a local URL is no tracker'
      )
    const scraped = /\/announce[^/]*$/.test(url.pathname) ? scrapeUrl(url).pathname : undefined
    return [url.protocol, isIP(host), refusals, scraped !== undefined]
  }
}
