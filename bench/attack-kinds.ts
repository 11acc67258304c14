import { randomBytes } from 'node:crypto'
import { encode } from '../lib/bencode/encode.ts'
import { allBits } from '../lib/util/bits.ts'
import { messageIds } from '../lib/wire/messages.ts'
import { extended, message, uint32 } from './attack-peer.ts'

/** The torrent for which the messages of a kind are made. */
export interface Setting {
  readonly pieces: number
  readonly pieceLength: number
  /** Message ids of the victim's extensions (BEP 10). */
  readonly ids: Readonly<Record<string, number>>
}

/** A sequence of messages that a peer can repeat forever. */
export interface AttackKind {
  /** Sent once on each connection. */
  readonly begin?: (setting: Setting) => readonly Uint8Array[]
  /** Sent again and again; `round` counts from 0. */
  readonly repeat: (setting: Setting, round: number) => readonly Uint8Array[]
  /** Rounds per send. */
  readonly rounds: number
  /** Pause after each send, in milliseconds. */
  readonly pauseMs?: number
  /** Whether it supports the fast extension (BEP 6); default true. */
  readonly fast?: boolean
  /** Whether the victim has only the info hash. */
  readonly magnet?: boolean
  /** How it answers requests: with the right zeros or with noise; undefined for not at all. */
  readonly answers?: 'right' | 'wrong'
  /** Whether to send byte by byte. */
  readonly tiny?: boolean
  /** Whether it sends nothing, not even its handshake. */
  readonly silent?: boolean
  /** Whether each connection ends after the beginning and one round. */
  readonly once?: boolean
}

const { choke, unchoke, interested, notInterested, have, bitfield, request, piece, cancel } = messageIds
const { port, suggest, haveAll, haveNone, reject, allowedFast } = messageIds
const block = 16_384

/** Returns a bitfield of all pieces but the fourth, so that the peer is not a seed. */
export function nearlyAll({ pieces }: Pick<Setting, 'pieces'>): Buffer {
  const bits = allBits(pieces)
  bits[0] = (bits[0] ?? 0) & ~0x10
  return message(bitfield, bits)
}

function half({ pieces }: Setting): Buffer {
  const bits = Buffer.alloc(Math.ceil(pieces / 8), 0xaa)
  if (pieces % 8 !== 0) bits[bits.length - 1] = 0xaa & (0xff << (8 - (pieces % 8)))
  return message(bitfield, bits)
}

function hello(fields: object): Buffer {
  return extended(0, encode(fields as Parameters<typeof encode>[0]))
}

function lose({ ids }: Setting, index: number): Buffer {
  return extended(ids.lt_donthave ?? 0, uint32(index))
}

const everyPiece = (setting: Setting): Buffer[] => [nearlyAll(setting)]
const unchoked = (setting: Setting): Buffer[] => [nearlyAll(setting), message(unchoke)]
const names = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`${n}`.padStart(60, 'x'), n]))
const addresses = encode({
  added: randomBytes(300),
  'added.f': randomBytes(50),
  added6: randomBytes(900),
  dropped: randomBytes(300)
})
const tokens = encode(Object.fromEntries(Array.from({ length: 66 }, (_, n) => [`k${n}`, [0]])))

/** Every measured sequence of messages, by name. */
export const attackKinds: Readonly<Record<string, AttackKind>> = {
  'have-none': { begin: everyPiece, repeat: () => [message(haveNone)], rounds: 1000 },
  'have-all': { begin: everyPiece, repeat: () => [message(haveAll)], rounds: 1000 },
  'same bitfield': { repeat: (setting) => [nearlyAll(setting)], rounds: 1 },
  'changing bitfields': {
    repeat: (setting, round) => [round % 2 === 0 ? half(setting) : nearlyAll(setting)],
    rounds: 2
  },
  'have-all + donthave': {
    begin: () => [message(haveAll)],
    repeat: (setting, round) => [lose(setting, round % setting.pieces), message(haveAll)],
    rounds: 500
  },
  'donthave + have, one piece': {
    begin: everyPiece,
    repeat: (setting) => [lose(setting, 5), message(have, uint32(5))],
    rounds: 500
  },
  'donthave + have, one piece, unchoked': {
    begin: unchoked,
    repeat: (setting) => [lose(setting, 5), message(have, uint32(5))],
    rounds: 500
  },
  'donthave + have, all pieces': {
    begin: everyPiece,
    repeat: (setting, round) => [
      lose(setting, round % setting.pieces),
      message(have, uint32(round % setting.pieces))
    ],
    rounds: 500
  },
  'donthave + have, all pieces, unchoked': {
    begin: unchoked,
    repeat: (setting, round) => [
      lose(setting, round % setting.pieces),
      message(have, uint32(round % setting.pieces))
    ],
    rounds: 500
  },
  'donthave + have, only piece': {
    begin: () => [message(have, uint32(100))],
    repeat: (setting) => [lose(setting, 100), message(have, uint32(100))],
    rounds: 500
  },
  'donthave + have, only piece, unchoked': {
    begin: () => [message(have, uint32(100)), message(unchoke)],
    repeat: (setting) => [lose(setting, 100), message(have, uint32(100))],
    rounds: 500
  },
  'donthave of 100 pieces, then haves, unchoked': {
    begin: unchoked,
    repeat: (setting, round) => {
      const index = (100 * Math.floor(round / 200) + (round % 100)) % setting.pieces
      return [round % 200 < 100 ? lose(setting, index) : message(have, uint32(index))]
    },
    rounds: 1000
  },
  'same have': { repeat: () => [message(have, uint32(7))], rounds: 5000 },
  'new haves': {
    repeat: (setting, round) => [message(have, uint32(round % setting.pieces))],
    rounds: 1000
  },
  'new haves, unchoked': {
    begin: () => [message(unchoke)],
    repeat: (setting, round) => [message(have, uint32(round % setting.pieces))],
    rounds: 1000
  },
  'unchoke + choke': {
    begin: everyPiece,
    repeat: () => [message(unchoke), message(choke)],
    rounds: 500
  },
  'unchoke + choke, not fast': {
    begin: everyPiece,
    repeat: () => [message(unchoke), message(choke)],
    rounds: 500,
    fast: false
  },
  'interested + not interested': {
    repeat: () => [message(interested), message(notInterested)],
    rounds: 2000
  },
  'upload-only flapping': {
    repeat: ({ ids }, round) => [extended(ids.upload_only ?? 0, Uint8Array.of(round & 1))],
    rounds: 1000
  },
  'changing metadata_size': {
    repeat: (_, round) => [hello({ m: { ut_metadata: 2 }, metadata_size: 32_000_000 - round })],
    rounds: 100,
    magnet: true
  },
  'extended handshakes of 64 names': {
    repeat: (_, round) => [hello({ m: names, v: `${round}`.padEnd(500, 'y'), metadata_size: 999 })],
    rounds: 20
  },
  'changing extended handshakes': {
    repeat: (_, round) => [
      hello({
        m: { ut_pex: 1 + (round & 1), ut_metadata: round & 2, lt_donthave: 3, upload_only: 4 },
        p: 1024 + (round % 60_000),
        reqq: 1 + (round % 500),
        upload_only: round & 1,
        yourip: randomBytes(4)
      })
    ],
    rounds: 100
  },
  'same request': {
    begin: () => [message(interested)],
    repeat: ({ pieceLength }) => [message(request, uint32(0, pieceLength - block, block))],
    rounds: 1000
  },
  'choked requests': {
    repeat: ({ pieces }, round) => [message(request, uint32(round % pieces, 0, block))],
    rounds: 1000
  },
  'request + cancel': {
    begin: (setting) => [...unchoked(setting), message(interested)],
    repeat: () => [message(request, uint32(0, 0, block)), message(cancel, uint32(0, 0, block))],
    rounds: 500,
    answers: 'right'
  },
  'requests of one byte + cancels': {
    begin: (setting) => [...unchoked(setting), message(interested)],
    repeat: (_, round) => [
      message(request, uint32(0, round % block, 1)),
      message(cancel, uint32(0, (round + block - 500) % block, 1))
    ],
    rounds: 500,
    answers: 'right'
  },
  'too long requests': { repeat: () => [message(request, uint32(0, 0, 1 << 20))], rounds: 100 },
  'cancels of nothing': {
    repeat: ({ pieces }, round) => [message(cancel, uint32(round % pieces, 0, block))],
    rounds: 1000
  },
  'allowed-fast': {
    begin: everyPiece,
    repeat: ({ pieces }, round) => [message(allowedFast, uint32(round % pieces))],
    rounds: 1000
  },
  suggest: {
    begin: unchoked,
    repeat: ({ pieces }, round) => [message(suggest, uint32(round % pieces))],
    rounds: 1000
  },
  'rejects of nothing': {
    repeat: ({ pieces }, round) => [message(reject, uint32(round % pieces, 0, block))],
    rounds: 1000
  },
  'reject of each request': {
    begin: unchoked,
    repeat: ({ pieces }, round) => [message(reject, uint32(round % Math.min(pieces, 1000), 0, block))],
    rounds: 1000
  },
  port: { repeat: (_, round) => [message(port, Uint8Array.of(4, round & 0xff))], rounds: 1000 },
  pex: {
    begin: () => [hello({ m: { ut_pex: 1 } })],
    repeat: ({ ids }) => [extended(ids.ut_pex ?? 0, addresses)],
    rounds: 5
  },
  'pex of 199 tokens': {
    repeat: ({ ids }) => [extended(ids.ut_pex ?? 0, tokens)],
    rounds: 20
  },
  'metadata requests': {
    begin: () => [hello({ m: { ut_metadata: 1 } })],
    repeat: ({ ids }, round) => [extended(ids.ut_metadata ?? 0, encode({ msg_type: 0, piece: round % 3 }))],
    rounds: 200
  },
  'metadata not asked for': {
    repeat: ({ ids }, round) => [
      extended(
        ids.ut_metadata ?? 0,
        Buffer.concat([encode({ msg_type: 1, piece: round % 3, total_size: 40_000 }), Buffer.alloc(block)])
      )
    ],
    rounds: 4
  },
  'keep-alives': { repeat: () => [uint32(0)], rounds: 10_000 },
  'unknown messages': { repeat: () => [message(99)], rounds: 10_000 },
  'unknown messages of 1 MB': { repeat: () => [message(99, Buffer.alloc(1_000_000))], rounds: 1 },
  'unknown extended messages': {
    repeat: (_, round) => [extended(100 + (round % 100), Buffer.alloc(20))],
    rounds: 1000
  },
  'tiny chunks': { repeat: () => [message(have, uint32(7))], rounds: 100, tiny: true },
  'oversized length': { repeat: () => [uint32(0x7fff_ffff), Uint8Array.of(99)], rounds: 1, once: true },
  'blocks not asked for': {
    begin: everyPiece,
    repeat: ({ pieces }, round) => [message(piece, uint32(round % pieces, 0), Buffer.alloc(block))],
    rounds: 8
  },
  'blocks of one byte': {
    begin: everyPiece,
    repeat: ({ pieces }, round) => [message(piece, uint32(round % pieces, 0), Buffer.alloc(1))],
    rounds: 1000
  },
  'wrong blocks': {
    begin: unchoked,
    repeat: () => [uint32(0)],
    rounds: 1,
    answers: 'wrong'
  },
  'no handshake': { repeat: () => [], rounds: 1, silent: true, once: true },
  'handshake only': { repeat: () => [], rounds: 1, once: true },
  'bitfield and away': { begin: everyPiece, repeat: () => [], rounds: 1, once: true },
  'half a bitfield and away': {
    begin: (setting) => [half(setting)],
    repeat: () => [],
    rounds: 1,
    once: true
  },
  'bitfield, unchoke and away': { begin: unchoked, repeat: () => [], rounds: 1, once: true },
  'bitfield, 1,400 have-nones and away': {
    begin: everyPiece,
    repeat: () => [message(haveNone)],
    rounds: 1400,
    once: true
  }
}
