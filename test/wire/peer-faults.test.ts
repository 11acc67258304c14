import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { encode, type MessageBatch } from '../../lib/wire/encoder.ts'
import { defaultWireLimits, type WireLimits } from '../../lib/wire/limits.ts'
import { messageIds } from '../../lib/wire/messages.ts'
import { DontHaveExtension, Wire } from '../../lib/wire.ts'

const id = new Uint8Array(20).fill(1)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const { request, reject, suggest, allowedFast, bitfield, have } = messageIds

/** A wire of a torrent of 10 pieces, the last one of 10 bytes. The test is its peer. */
class Peer {
  readonly wire: Wire
  readonly heard: string[] = []
  error: unknown
  readonly #chunks: Uint8Array[] = []

  constructor(limits: Partial<WireLimits> = {}, fast = true) {
    this.wire = new Wire({ pieceCount: 10, pieceLength: 32768, totalLength: 9 * 32768 + 10, limits })
    this.wire.on('data', (data) => this.#chunks.push(data as Uint8Array))
    this.wire.on('error', (error) => {
      this.error = error
    })
    for (const event of ['request', 'suggest', 'allowed-fast', 'dont-have', 'have'] as const)
      this.wire.on(event, (...parts: number[]) => this.heard.push([event, ...parts].join(' ')))
    this.wire.on('bitfield', () => this.heard.push(`bitfield ${this.wire.peerPieceTotal}`))
    this.wire.use(new DontHaveExtension(this.wire))
    this.wire.handshake(id, id)
    this.tell((batch) => batch.handshake(id, id, { fast, extended: true, dht: false }))
    this.wire.unchoke()
  }

  tell(write: (batch: MessageBatch) => void): void {
    this.wire.receive(encode(write))
  }

  /** Everything sent to the peer except the handshake and the unchoke. */
  async told(): Promise<Buffer> {
    await turn()
    await turn()
    return Buffer.concat(this.#chunks).subarray(68 + 5)
  }
}

const handshake =
  (text: string) =>
  (batch: MessageBatch): void =>
    batch.extended(0, Buffer.from(text, 'latin1'))

type Row = readonly [what: string, write: (batch: MessageBatch) => void, heard: readonly string[]]

/** Odd messages that are counted. `heard` lists the events that they still cause. */
const ignored: readonly Row[] = [
  ['an extended handshake that breaks off', handshake('d1'), []],
  ['an extended handshake that is a list', handshake('le'), []],
  ['an extended handshake that is a number', handshake('i1e'), []],
  ['an extended handshake of nothing', handshake(''), []],
  ['an extended handshake that is no bencode', handshake('{"m":{}}'), []],
  ['an extended handshake that is nested too deep', handshake(`d1:m${'l'.repeat(50)}${'e'.repeat(51)}`), []],
  ['spare bits of a bitfield', (batch) => batch.payload(bitfield, Uint8Array.of(0x80, 0x3f)), ['bitfield 1']],
  ['a suggestion beyond the end', (batch) => batch.index(suggest, 10), []],
  ['a suggestion far beyond the end', (batch) => batch.index(suggest, 0xffffffff), []],
  ['a grant beyond the end', (batch) => batch.index(allowedFast, 10), []],
  ['a lost piece beyond the end', (batch) => batch.extended(1, Uint8Array.of(0, 0, 0, 10)), []],
  ['a lost piece of no number', (batch) => batch.extended(1, Uint8Array.of(1, 2)), []],
  ['a lost piece of too long a number', (batch) => batch.extended(1, new Uint8Array(5)), []]
]

/** Messages that are not odd: useless parts of them count as absent. */
const accepted: readonly Row[] = [
  ['an empty extended handshake', handshake('de'), []],
  ['an extended handshake of other types', handshake('d1:mle1:pi-1e4:reqq1:x1:vle6:yourip3:abce'), []],
  ['message ids below 0 and above 255', handshake('d1:md1:ai-1e1:bi256e1:ci99999999999999999999eee'), []],
  ['message ids that are text', handshake('d1:md1:a1:1ee'), []],
  ['keys that are unknown or no UTF-8', handshake('d2:\xff\xfele1:zdee'), []],
  ['keys out of order and twice', handshake('d1:vi1e1:mde1:mdee'), []],
  ['bytes behind an extended handshake', handshake('de\r\n'), []],
  ['a message of an unknown kind', (batch) => batch.payload(99, new Uint8Array(9)), []],
  ['an extended message of an unknown id', (batch) => batch.extended(77, new Uint8Array(9)), []],
  ['a lost piece that the peer did not have', (batch) => batch.extended(1, new Uint8Array(4)), []],
  ['a cancel of a block that was never requested', (batch) => batch.range(messageIds.cancel, 77, 7, 7), []],
  [
    'a second bitfield',
    (batch) => [0x80, 0xc0].forEach((bits) => void batch.payload(bitfield, Uint8Array.of(bits, 0))),
    ['bitfield 1', 'bitfield 2']
  ]
]

const rejected: readonly [what: string, piece: number, offset: number, length: number][] = [
  ['a request beyond the pieces', 10, 0, 1],
  ['a request far beyond the pieces', 0xffffffff, 0, 16384],
  ['a request beyond its piece', 0, 32000, 1000],
  ['a request beyond the last piece', 9, 4, 8],
  ['a request of nothing', 0, 0, 0],
  ['a request of a byte above 16 KiB', 0, 0, 16385],
  ['a request of 32 KiB', 0, 0, 32768],
  ['a request of 4 GiB', 0, 0xffffffff, 0xffffffff]
]

for (const [what, write, heard] of [...ignored, ...accepted]) {
  test(`${what} is ignored, and the wire continues`, async () => {
    const peer = new Peer()
    peer.tell(write)
    peer.tell((batch) => batch.index(have, 5))
    assert.deepEqual((await peer.told()).length, 0)
    assert.equal(peer.error, undefined)
    assert.deepEqual(peer.heard, [...heard, 'have 5'])
  })
}

for (const [what, ...numbers] of rejected) {
  test(`${what} is rejected, or ignored without the fast extension, and the wire continues`, async () => {
    for (const fast of [true, false]) {
      const peer = new Peer({}, fast)
      peer.tell((batch) => batch.range(request, ...numbers))
      peer.tell((batch) => batch.range(request, 1, 0, 16384))
      const answer = encode((batch) => batch.range(reject, ...numbers))
      assert.deepEqual(await peer.told(), fast ? Buffer.from(answer) : Buffer.alloc(0))
      assert.equal(peer.error, undefined)
      assert.deepEqual(peer.heard, ['request 1 0 16384'])
    }
  })
}

const counted: readonly Row[] = [
  ...ignored,
  ...rejected.map(([what, ...numbers]): Row => [what, (batch) => batch.range(request, ...numbers), []])
]
for (const [what, write] of counted) {
  test(`a peer that keeps sending ${what} is disconnected`, async () => {
    const peer = new Peer({ bulkMessages: 1000, turnMessages: 1e6, turnMs: 1e6 })
    const { oddMessages } = defaultWireLimits
    for (let n = 0; n < oddMessages; n++) peer.tell(write)
    await turn()
    assert.equal(peer.wire.destroying, false)
    peer.tell(write)
    peer.tell((batch) => batch.index(have, 5))
    await turn()
    assert.equal(peer.wire.destroyed, true)
    assert.ok(peer.error instanceof TorrentError && peer.error.code === 'ERR_WIRE_PROTOCOL')
    assert.match(peer.error.message, /more than 300 invalid messages/)
    assert.equal(peer.heard.includes('have 5'), false)
  })
}

test('accepted messages are not counted', async () => {
  const peer = new Peer({ oddMessages: 0 })
  for (const [, write] of accepted) peer.tell(write)
  await turn()
  assert.equal(peer.error, undefined)
})

test('odd messages are forgiven with time', async (t) => {
  let now = 1e6
  t.mock.method(performance, 'now', () => now)
  const peer = new Peer({ oddMessages: 2, oddMessageMs: 1000 })
  for (let n = 0; n < 20; n++) {
    peer.tell((batch) => batch.index(suggest, 10))
    now += 1000
  }
  assert.equal(peer.wire.destroying, false)
  for (let n = 0; n < 3; n++) peer.tell((batch) => batch.index(suggest, 10))
  await turn()
  assert.equal(peer.wire.destroyed, true)
})

test('an extension counts messages that it cannot use itself', async () => {
  const peer = new Peer({ oddMessages: 1 })
  peer.wire.oddMessage('nonsense')
  assert.equal(peer.wire.destroying, false)
  peer.wire.oddMessage('more nonsense')
  await turn()
  assert.match(String(peer.error), /the last: more nonsense/)
  peer.wire.oddMessage('of a wire that is closed')
})
