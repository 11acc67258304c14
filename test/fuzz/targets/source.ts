import { gzipSync } from 'node:zlib'
import { readSource } from '../../../lib/client/read-source.ts'
import { parseJson } from '../../../lib/server/add-torrent.ts'
import { HttpError } from '../../../lib/server/respond.ts'
import type { Target } from '../target.ts'

const hash = 'c12fe1c06bba254a9dc9f519b335aa7c1367a88a'

/**
 * Untrusted sources given to a program: bytes of any kind, links in texts and in the API's JSON. Nothing is
 * fetched.
 */
export const source: Target = {
  name: 'source',
  grammar: 'bytes',
  corpus: ['torrent', 'magnet', 'source'],
  seeds: () => [
    gzipSync(`magnet:?xt=urn:btih:${hash}`),
    `"${hash}"`,
    `{"source":"${hash}","select":"none"}`,
    '<!doctype html>'
  ],
  maxBytes: 2 << 20,
  refuses: (thrown) => thrown instanceof HttpError && thrown.status === 400,
  async run(input, check) {
    if (input[0] === 0x7b)
      return check.turn(() => Object.keys(parseJson(Buffer.from(input).toString())).sort())
    const isText = check.random.oneIn(2)
    const text = Buffer.from(input).toString()
    // A text that is a URL would be dialled.
    if (isText && /https?:/i.test(text)) return 'an address'
    const read = await check.turns(() => readSource(isText ? text : input, { trust: 'remote' }))
    return 'info' in read
      ? ['torrent', read.files.length > 1]
      : ['magnet', read.trackers.length, read.infoHashes]
  }
}
