import { PexPolicy } from '../../../lib/discovery/pex.ts'
import { isTorrentError } from '../../../lib/util/errors.ts'
import { clientName } from '../../../lib/wire/client-name.ts'
import { encodeExtendedHandshake, parseExtendedHandshake } from '../../../lib/wire/extended-handshake.ts'
import { defaultWireLimits, pexPeersMax } from '../../../lib/wire/limits.ts'
import { DontHaveExtension } from '../../../lib/wire/lt-donthave.ts'
import { UploadOnlyExtension } from '../../../lib/wire/upload-only.ts'
import { MetadataExtension } from '../../../lib/wire/ut-metadata.ts'
import { encodePex, parsePex } from '../../../lib/wire/ut-pex.ts'
import type { Check, Target } from '../target.ts'

const maxBytes = 128 << 10
const metadataLimit = 32 << 20

/** Payloads of extended messages, each read as every kind except PEX. */
export const extended: Target = {
  name: 'extended',
  grammar: 'bencode',
  corpus: ['extended'],
  words: [
    ...[
      'm',
      'v',
      'p',
      'reqq',
      'yourip',
      'ipv4',
      'ipv6',
      'metadata_size',
      'upload_only',
      'ut_metadata',
      'ut_pex'
    ],
    ...['lt_donthave', 'msg_type', 'piece', 'total_size', '__proto__']
  ],
  maxBytes,
  run(input, check) {
    const handshake = check.turn(() => parseExtendedHandshake(input, defaultWireLimits.extensionNames))
    if (handshake !== undefined) checkHandshake(handshake, check)
    const name = clientName(input)
    check.that(name === undefined || !/[^ -~\u00b5]/.test(name), 'a client has an unprintable name')
    return [handshake, name, metadataOutcome(input, check), smallOutcomes(input, check)]
  }
}

function checkHandshake(
  handshake: NonNullable<ReturnType<typeof parseExtendedHandshake>>,
  check: Check
): void {
  const { extensions, version = '', port = 1, metadataSize } = handshake
  check.that(extensions.size <= defaultWireLimits.extensionNames, 'more extensions than the limit')
  check.that(port >= 1 && port <= 65535, 'a port is out of bounds')
  check.that(version.length <= 64 && !/\p{C}/u.test(version), 'a version is long or unprintable')
  check.that(metadataSize === undefined || Number.isSafeInteger(metadataSize), 'a size is out of bounds')
  // Names of extensions may be any bytes, which conversion to text would change.
  const names = new Map([...extensions].filter(([key]) => /^[ -~]*$/.test(key)))
  const again = parseExtendedHandshake(encodeExtendedHandshake(handshake, names), 64)
  check.equal({ ...again, extensions: 0 }, { ...handshake, extensions: 0 }, 'an encoded handshake is another')
  check.equal(again?.extensions.size, names.size, 'an encoded handshake has other extensions')
}

function metadataOutcome(input: Uint8Array, check: Check): unknown {
  const told: unknown[] = []
  const extension = new MetadataExtension(
    { extended: () => true },
    {
      onRequest: (piece) => {
        check.that(piece >= 0 && piece < metadataLimit / 16384, 'a piece of the metadata is out of bounds')
        told.push('request')
      },
      onData: (piece, totalSize, bytes) => {
        check.that(
          totalSize <= metadataLimit && piece * 16384 + bytes.length <= totalSize,
          'data passes the end'
        )
        told.push('data')
      },
      onReject: () => told.push('reject')
    }
  )
  return outcomeOf(() => check.turn(() => extension.onMessage(input))) ?? told
}

function smallOutcomes(input: Uint8Array, check: Check): unknown[] {
  const told: unknown[] = []
  const sender = {
    extended: () => true,
    peerLost: (piece: number) => told.push(piece >= 0 && piece <= 0xffffffff),
    oddMessage: () => told.push('odd')
  }
  const payload = input.subarray(0, check.random.below(9))
  new DontHaveExtension(sender).onMessage(payload)
  new UploadOnlyExtension(sender, (uploadOnly) => told.push(uploadOnly)).onMessage(payload)
  check.that(!told.includes(false) || payload.length > 0, 'a piece is out of bounds')
  return told
}

/** Returns the code of a refusal; undefined if there was none. */
function outcomeOf(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (thrown) {
    if (!isTorrentError(thrown)) throw thrown
    return thrown.message.replace(/\d+/g, '#')
  }
}

/** Peer exchange messages, and the addresses accepted from them. */
export const pex: Target = {
  name: 'pex',
  grammar: 'bencode',
  corpus: ['pex'],
  seeds: () => [
    encodePex({
      added: Array.from({ length: 60 }, (_, n) => ({
        address: { host: `8.8.${n}.1`, port: 6881 },
        flags: n
      })),
      dropped: [{ host: '2001:db8::1', port: 1 }]
    })
  ],
  words: ['added', 'added.f', 'added6', 'added6.f', 'dropped', 'dropped6'],
  maxBytes,
  run(input, check) {
    const message = check.turn(() => parsePex(input))
    const { added, dropped } = message
    check.that(Math.max(added.length, dropped.length) <= 2 * pexPeersMax, 'more peers than the limit')
    for (const { address, flags } of added) {
      check.that(address.port >= 1 && address.port <= 65535, 'a port is out of bounds')
      check.that(flags >= 0 && flags <= 255, 'flags are out of bounds')
    }
    const settled = parsePex(encodePex(message))
    if (
      added.every(({ address }) => address.host.includes(':')) ||
      !added.some(({ address }) => address.host.includes(':'))
    )
      check.equal(settled.added, added, 'decode(encode(x)) is not x')
    check.equal(
      settled.added.length + settled.dropped.length,
      added.length + dropped.length,
      'peers are lost'
    )
    const policy = new PexPolicy()
    policy.join(1, '8.8.8.8', 0)
    const believed = check.turn(() => policy.hear(1, message, 1000, false))
    check.that(believed === 'flood' || believed.length <= 200, 'too many peers are believed')
    return [message, believed]
  }
}
