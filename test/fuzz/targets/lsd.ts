import { formatLsd, parseLsd } from '../../../lib/discovery/lsd-message.ts'
import type { Target } from '../target.ts'

const infoHash = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a'
const host = '239.192.152.143:6771'

/** Announces in the local network. */
export const lsd: Target = {
  name: 'lsd',
  grammar: 'text',
  corpus: ['lsd'],
  seeds: () => [formatLsd(host, { port: 6881, infoHashes: [infoHash], cookie: 'abc' })],
  words: ['BT-SEARCH * HTTP/1.1', 'Host: ', 'Port: ', 'Infohash: ', 'cookie: ', '\r\n', infoHash],
  maxBytes: 4096,
  run(input, check) {
    const message = check.turn(() => parseLsd(input))
    if (message === undefined) return undefined
    const { port, infoHashes, cookie = '' } = message
    check.that(port >= 1 && port <= 65535, 'a port is out of bounds')
    check.that(infoHashes.length <= 48 && cookie.length <= 128, 'a list is not bounded')
    check.that(
      infoHashes.every((one) => /^[0-9a-f]{40}$/.test(one)),
      'an info hash is none'
    )
    const again = formatLsd(host, message)
    // A truncated cookie may end with a space, which the second reading drops.
    const expected = message.cookie === undefined ? message : { ...message, cookie: cookie.trim() }
    if (again.length <= 2048) check.equal(parseLsd(again), expected, 'parseLsd(formatLsd(x)) is not x')
    return message
  }
}
