import { encode } from '../../../lib/bencode/encode.ts'
import { findFailure, parseHttpAnnounce, parseHttpScrape } from '../../../lib/tracker/http-reply.ts'
import { limits } from '../../../lib/tracker/limits.ts'
import { isTorrentError } from '../../../lib/util/errors.ts'
import type { Target } from '../target.ts'

const infoHash = new Uint8Array(20).fill(0x61)

/** Bodies of HTTP trackers: announce, scrape, failure. */
export const httpReply: Target = {
  name: 'http-reply',
  grammar: 'bencode',
  corpus: ['http-reply'],
  seeds: () => [
    encode({ 'failure reason': 'no', 'retry in': 'never' }),
    encode({ files: new Map([[infoHash, { complete: 1, incomplete: 2, downloaded: 3 }]]) }),
    encode({ interval: 1800, peers: [{ ip: '1.2.3.4', port: 6881, 'peer id': '-XX0001-aaaaaaaaaaaa' }] })
  ],
  words: [
    ...[
      'peers',
      'peers6',
      'interval',
      'min interval',
      'complete',
      'incomplete',
      'downloaded',
      'failure reason'
    ],
    ...['retry in', 'never', 'warning message', 'external ip', 'tracker id', 'files', 'ip', 'port', 'peer id']
  ],
  maxBytes: 2 << 20,
  refuses: isTorrentError,
  run(input, check) {
    const failure = check.turn(() => findFailure(input))
    check.that((failure?.message.length ?? 0) < 400, 'a reason is long')
    let odd = ''
    const scraped = attempt(() => check.turn(() => parseHttpScrape(input, [infoHash, infoHash])))
    const reply = check.turn(() =>
      parseHttpAnnounce(input, (what) => {
        odd = what
      })
    )
    check.that(reply.peers.length <= limits.peersPerReply, 'more peers than the limit')
    for (const { host, port } of reply.peers) {
      check.that(port >= 1 && port <= 65535, 'a port is out of bounds')
      check.that(/^[\w.:%-]+$/.test(host), `a host is no name or address: ${host}`)
    }
    const numbers = [
      reply.intervalMs ?? 1,
      reply.minIntervalMs ?? 1,
      reply.complete ?? 1,
      reply.incomplete ?? 1
    ]
    check.that(
      numbers.every((number) => number >= 0),
      'a number is negative'
    )
    check.that(odd.length < 400 && (reply.warning?.length ?? 0) < 400, 'a text is long')
    return [reply, odd.replace(/[^a-z ]/gi, ''), scraped]
  }
}

/** Returns the result, or the message of a refusal. */
function attempt(work: () => unknown): unknown {
  try {
    return work()
  } catch (thrown) {
    if (!isTorrentError(thrown)) throw thrown
    return thrown.message.slice(0, 40)
  }
}
