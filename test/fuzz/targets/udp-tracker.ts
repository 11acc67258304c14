import { limits } from '../../../lib/tracker/limits.ts'
import {
  encodeAnnounce,
  isUdpReply,
  parseAnnounce,
  parseConnect,
  parseScrape,
  transactionOf
} from '../../../lib/tracker/udp-packets.ts'
import { isTorrentError } from '../../../lib/util/errors.ts'
import type { Target } from '../target.ts'

/** Datagrams of UDP trackers, each read as every kind of answer. */
export const udpTracker: Target = {
  name: 'udp-tracker',
  grammar: 'bytes',
  corpus: ['udp-tracker'],
  maxBytes: 64 << 10,
  run(input, check) {
    const outcomes: unknown[] = []
    const attempt = (work: () => unknown): void => {
      try {
        outcomes.push(check.turn(work))
      } catch (thrown) {
        if (!isTorrentError(thrown)) throw thrown
        check.that(thrown.message.length < 400, 'a reason is long')
        outcomes.push(thrown.code)
      }
    }
    if (isUdpReply(input)) outcomes.push(transactionOf(input) >= 0)
    attempt(() => parseConnect(input))
    for (const family of [4, 6] as const)
      attempt(() => {
        const reply = parseAnnounce(input, family)
        check.that(reply.peers.length <= limits.peersPerReply, 'more peers than the limit')
        check.that(
          reply.peers.every(({ port }) => port >= 1 && port <= 65535),
          'a port is out of bounds'
        )
        check.that((reply.intervalMs ?? 1) > 0, 'an interval is not positive')
        return reply
      })
    attempt(() => parseScrape(input, 1 + check.random.below(74)))
    const path = Buffer.from(input).toString()
    const packet = encodeAnnounce(1n, 2, parameters, path)
    const least = 98 + Buffer.byteLength(path)
    check.that(path === '/' || packet.length >= least, 'a path is cut')
    return outcomes
  }
}

const parameters = {
  infoHash: new Uint8Array(20),
  peerId: new Uint8Array(20),
  downloaded: 0,
  left: 1,
  uploaded: 0,
  event: 'started',
  key: 1,
  numwant: 50,
  port: 6881
} as const
