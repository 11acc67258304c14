import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { unpackBody } from '../../../lib/net/http-body.ts'
import { ReplyCleaner } from '../../../lib/net/reply-cleaner.ts'
import { isTorrentError } from '../../../lib/util/errors.ts'
import { refusalShape } from '../outcome.ts'
import type { Check, Target } from '../target.ts'

const mostBytes = 1 << 20
const body = Buffer.from('d8:intervali1800e5:peers0:e'.repeat(20))

/** Responses of trackers over HTTP: the head in random chunks, the body decompressed. */
export const httpBody: Target = {
  name: 'http-body',
  grammar: 'bytes',
  corpus: ['http-body'],
  seeds: () => [
    // Lines and interim answers, whose number has a high limit.
    `HTTP/1.1 200 OK\n${'a\n'.repeat(30_000)}\n`,
    `${'HTTP/1.1 100 Continue\n\n'.repeat(2_800)}HTTP/1.1 200 OK\n\n`,
    ...[gzipSync(body), deflateSync(body), deflateRawSync(body), gzipSync(new Uint8Array(1 << 20))],
    Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n'), gzipSync(body)])
  ],
  maxBytes: 1 << 20,
  async run(input, check) {
    const whole = cleaned([Buffer.from(input)], check)
    check.equal(cleaned(chunksOf(input, check), check), whole, 'random chunks give another response')
    const text = Buffer.from(input).toString('latin1')
    const at = text.indexOf('\r\n\r\n')
    const encoding =
      /^content-encoding: *([\w-]+)/im.exec(text)?.[1] ?? check.random.pick(['gzip', 'deflate'])
    const packed = input.subarray(at < 0 ? 0 : at + 4)
    const unpacking = check.turns(() => unpackBody(packed, encoding, mostBytes))
    const unpacked = await unpacking.catch((thrown: unknown) => {
      if (!isTorrentError(thrown)) throw thrown
      return refusalShape(thrown)
    })
    const state = [whole.status, text.match(/\n/g)?.length, /chunked/i.test(whole.text)]
    if (typeof unpacked === 'string') return [...state, unpacked]
    check.that(unpacked.length <= Math.max(mostBytes, packed.length), 'a body inflates beyond the limit')
    return [...state, unpacked.length]
  }
}

function chunksOf(input: Uint8Array, { random }: Check): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < input.length; ) {
    const end = at + 1 + random.below(random.pick([1, 20, 2000]))
    chunks.push(Buffer.from(input.subarray(at, end)))
    at = end
  }
  return chunks
}

function cleaned(
  chunks: readonly Buffer[],
  check: Check
): { readonly status: string; readonly text: string } {
  const cleaner = new ReplyCleaner()
  const parts: Buffer[] = []
  for (const chunk of chunks) {
    if (!cleaner.done) parts.push(check.turn(() => cleaner.push(chunk)))
  }
  const isWhole = cleaner.done || !cleaner.cut
  parts.push(cleaner.end())
  const text = Buffer.concat(parts).toString('latin1')
  const head = /^HTTP\/1\.1 \d{3} -\r\n([ -~\x80-\xff]+\r\n)+\r\n/.exec(text)?.[0]
  // A body that ends with its announced length drops the bytes after it, in the same chunk or later ones.
  return {
    status: `${head?.split('\r\n', 1)} ${isWhole}`,
    text: isWhole && cleaner.done ? (head ?? '') : text
  }
}
