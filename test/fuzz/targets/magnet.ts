import { usableAddresses } from '../../../lib/discovery/remote-addresses.ts'
import { parseV1, parseV2 } from '../../../lib/metainfo/info-hashes.ts'
import { formatMagnet, parseMagnet } from '../../../lib/metainfo/magnet.ts'
import { isAddress } from '../../../lib/util/address.ts'
import { redactUrl } from '../../../lib/util/redact.ts'
import type { Target } from '../target.ts'

const hash = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a'

/** Magnet links: bounded lists, ascending ranges. The output of formatMagnet() parses to the same. */
export const magnet: Target = {
  name: 'magnet',
  grammar: 'text',
  corpus: ['magnet'],
  seeds: () => [`magnet:?xt=urn:btih:${hash}`],
  words: [
    ...[
      'magnet:?',
      'xt=urn:btih:',
      'xt=urn:btmh:1220',
      'dn=',
      'tr=',
      'ws=',
      'x.pe=',
      'so=',
      'xl=',
      'tr.1=',
      hash
    ],
    ...[
      '0-9999999999',
      '1,3,5-7',
      'YNCKHTQCWBTRNJIVA4Y2BD6Y5Z3EU5T5',
      'udp://t:80/announce',
      '[::1]:6881',
      '127.0.0.1:1'
    ]
  ],
  maxBytes: 1 << 20,
  run(input, check) {
    const text = Buffer.from(input).toString()
    check.that((check.turn(() => parseV1(text))?.length ?? 20) === 20, 'a v1 hash has another length')
    check.that((check.turn(() => parseV2(text))?.length ?? 32) === 32, 'a v2 hash has another length')
    const magnet = check.turn(() => parseMagnet(text))
    const { trackers, webSeeds, peers, selectOnly = [], infoHashes } = magnet
    check.that(Math.max(trackers.length, webSeeds.length, peers.length) <= 1000, 'a list is not bounded')
    check.that(selectOnly.length <= 10_000, 'more ranges than the limit')
    let end = -1
    for (const range of selectOnly) {
      check.that(range.start > end && range.end > range.start, 'ranges are not ascending')
      check.that(Number.isSafeInteger(range.end), 'a range is out of bounds')
      end = range.end
    }
    check.that(
      (infoHashes.v1?.length ?? 20) === 20 && (infoHashes.v2?.length ?? 32) === 32,
      'a hash has another length'
    )
    const again = check.turn(() => parseMagnet(formatMagnet(magnet)))
    check.equal(again, parseMagnet(formatMagnet(again)), 'formatMagnet() does not settle')
    check.equal({ ...again, name: 0 }, { ...magnet, name: 0 }, 'parseMagnet(formatMagnet(x)) is not x')
    for (const { host } of usableAddresses(peers, undefined, () => []))
      check.that(isAddress(host), 'a name is dialled for a magnet link')
    const shown = check.turn(() => redactUrl(text))
    check.that(shown.length < 250, 'a shown link is long')
    return magnet
  }
}
