import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Encryption, MseMethod } from '../../../lib/transport/mse/encryption.ts'
import { MseInitiator } from '../../../lib/transport/mse/initiator.ts'
import { keyPairOf } from '../../../lib/transport/mse/key-pair.ts'
import { limits } from '../../../lib/transport/mse/limits.ts'
import type { MseHandshake } from '../../../lib/transport/mse/mse-handshake.ts'
import { MseResponder } from '../../../lib/transport/mse/responder.ts'
import { nameOf, streamsOf } from '../../../lib/transport/mse/secrets.ts'
import { TorrentError } from '../../../lib/util/errors.ts'
import {
  choice,
  hiddenName,
  infoHash,
  mark,
  offerHead,
  publicA,
  publicB,
  secretA,
  secretB,
  shared
} from './vectors.ts'

const both: readonly MseMethod[] = ['plain', 'rc4']
const nothing = (): Uint8Array => new Uint8Array()

interface Sides {
  readonly methods?: readonly MseMethod[]
  readonly encryption?: Encryption
  readonly pad?: number
}

function initiatorOf({ methods = both, pad = 0 }: Sides = {}): MseInitiator {
  return new MseInitiator({ infoHash, methods, keyPair: keyPairOf(secretA), padLength: () => pad })
}

function responderOf({ encryption = 'allow', pad = 0 }: Sides = {}): MseResponder {
  const find = (name: Uint8Array) => (Buffer.compare(name, nameOf(infoHash)) === 0 ? infoHash : undefined)
  return new MseResponder({ encryption, keyPair: keyPairOf(secretB), find, padLength: () => pad })
}

/** Passes bytes in chunks of a length, and returns all replies. */
function feed(side: MseHandshake, bytes: Uint8Array, chunk: number, initial = nothing): Buffer {
  const replies: Uint8Array[] = []
  let isLater = false
  for (let at = 0; at < bytes.length && side.agreement === undefined; at += chunk) {
    replies.push(side.receive(bytes.subarray(at, at + chunk), () => (isLater ? nothing() : initial())))
    isLater = replies.some(({ length }) => length > 0)
  }
  return Buffer.concat(replies)
}

/** Lets both sides shake hands, and returns them. */
function shake(sides: Sides, chunk = 1 << 20, initial = nothing) {
  const [a, b] = [initiatorOf(sides), responderOf(sides)]
  let toB: Buffer = Buffer.from(a.begin())
  while (toB.length > 0) {
    const toA = feed(b, toB, chunk)
    toB = feed(a, toA, chunk, initial)
  }
  return { a, b }
}

function isFault(what: RegExp): (thrown: unknown) => boolean {
  return (thrown) =>
    thrown instanceof TorrentError && thrown.code === 'ERR_WIRE_PROTOCOL' && what.test(thrown.message)
}

test('both sides send the known bytes', () => {
  const [a, b] = [initiatorOf(), responderOf({ encryption: 'prefer' })]
  assert.deepEqual(Buffer.from(a.begin()), publicA)
  const offer = a.receive(publicB, () => new Uint8Array(68))
  assert.deepEqual(Buffer.from(offer.subarray(0, 20)), mark)
  assert.deepEqual(Buffer.from(offer.subarray(20, 40)), hiddenName)
  assert.deepEqual(Buffer.from(offer.subarray(40, 56)), offerHead)
  assert.equal(offer.length, 56 + 68)
  assert.deepEqual(Buffer.from(b.receive(publicA)), publicB)
  assert.deepEqual(Buffer.from(b.receive(offer)), choice)
  assert.equal(b.agreement?.enciphered, 68)
  assert.equal(b.agreement?.rest.length, 68)
  a.receive(choice, nothing)
  assert.equal(a.agreement?.method, 'rc4')
})

for (const pad of [0, 1, limits.padBytes]) {
  for (const chunk of [1 << 20, 61]) {
    test(`paddings of ${pad} bytes, in chunks of ${chunk}, are skipped`, () => {
      const initial = Buffer.alloc(68, 7)
      const { a, b } = shake({ pad, encryption: 'prefer' }, chunk, () => initial)
      assert.ok(a.agreement && b.agreement)
      assert.equal(a.heard, 'answer')
      assert.equal(b.heard, 'answer')
      // The chunks after the one that has completed the handshake belong to the connection.
      const { rest, receiving } = b.agreement
      receiving.apply(rest)
      assert.deepEqual(Buffer.from(rest), initial.subarray(0, rest.length))
      const message = Buffer.from('to the dialled side')
      if (rest.length === initial.length) {
        a.agreement.sending.apply(message)
        receiving.apply(message)
        assert.equal(String(message), 'to the dialled side')
      }
      const reply = Buffer.from('to the dialling side')
      b.agreement.sending.apply(reply)
      a.agreement.receiving.apply(reply)
      assert.equal(String(reply), 'to the dialling side')
    })
  }
}

for (const [methods, encryption, expected] of [
  [both, 'allow', 'plain'],
  [both, 'prefer', 'rc4'],
  [both, 'require', 'rc4'],
  [['rc4'], 'allow', 'rc4'],
  [['plain'], 'prefer', 'plain']
] as const) {
  test(`an offer of ${methods.join(' and ')} is answered with ${expected} under '${encryption}'`, () => {
    const { a, b } = shake({ methods, encryption })
    assert.equal(a.agreement?.method, expected)
    assert.equal(b.agreement?.method, expected)
  })
}

test('IA may be empty', () => {
  const { b } = shake({})
  assert.equal(b.agreement?.enciphered, 0)
  assert.equal(b.agreement?.rest.length, 0)
})

test('an offer that is not allowed is refused after the torrent is known', () => {
  const [a, b] = [initiatorOf({ methods: ['plain'] }), responderOf({ encryption: 'require' })]
  const offer = a.receive(b.receive(a.begin()), nothing)
  assert.throws(() => b.receive(offer), isFault(/offers 1/))
  assert.equal(a.heard, 'key')
})

test('an unknown torrent is refused', () => {
  const a = initiatorOf()
  const b = new MseResponder({ encryption: 'allow', keyPair: keyPairOf(secretB), find: () => undefined })
  const reply = b.receive(a.begin())
  assert.throws(() => b.receive(a.receive(reply, nothing)), isFault(/does not have/))
})

test('bytes before the public key are complete tell nothing', () => {
  const a = initiatorOf()
  assert.equal(a.heard, 'nothing')
  a.receive(publicB.subarray(0, 95), nothing)
  assert.equal(a.heard, 'unclear')
  a.receive(publicB.subarray(95), nothing)
  assert.equal(a.heard, 'key')
})

test('the dialled side refuses a padding that is too long', () => {
  const b = responderOf()
  b.receive(publicA)
  b.receive(Buffer.alloc(limits.padBytes + 19, 1))
  assert.throws(() => b.receive(Buffer.alloc(1)), isFault(/no end of its padding/))
})

test('the dialling side refuses a padding that is too long', () => {
  const a = initiatorOf()
  a.receive(publicB, nothing)
  a.receive(Buffer.alloc(limits.padBytes + 7, 1), nothing)
  assert.throws(() => a.receive(Buffer.alloc(1), nothing), isFault(/no end of its padding/))
})

/** Returns what the dialling side sends after the hashes, enciphered. */
function offered(constant: number, methods: number, padding: number): Buffer {
  const offer = Buffer.alloc(16)
  offer.writeUInt32BE(constant, 4)
  offer.writeUInt32BE(methods, 8)
  offer.writeUInt16BE(padding, 12)
  streamsOf(shared, infoHash).dialler.apply(offer)
  return Buffer.concat([mark, hiddenName, offer])
}

for (const [what, offer, message] of [
  ['another constant', offered(1, 3, 0), /wrong constant/],
  ['no known method', offered(0, 4, 0), /offers 4/],
  ['a padding beyond the limit', offered(0, 3, limits.padBytes + 1), /padding of 513/]
] as const) {
  test(`the dialled side refuses ${what}`, () => {
    const b = responderOf()
    b.receive(publicA)
    assert.throws(() => b.receive(offer), isFault(message))
  })
}

for (const [what, methods, selected, padding, message] of [
  ['a method that was not offered', ['rc4'], 1, 0, /chooses 1/],
  ['both methods', both, 3, 0, /chooses 3/],
  ['no method', both, 0, 0, /chooses 0/],
  ['a padding beyond the limit', both, 2, limits.padBytes + 1, /padding of 513/]
] as const) {
  test(`the dialling side refuses ${what}`, () => {
    const a = initiatorOf({ methods })
    a.receive(publicB, nothing)
    const answer = Buffer.alloc(14)
    answer.writeUInt32BE(selected, 8)
    answer.writeUInt16BE(padding, 12)
    streamsOf(shared, infoHash).dialled.apply(answer)
    assert.throws(() => a.receive(answer, nothing), isFault(message))
  })
}

test('a handshake in too many pieces is refused', () => {
  const b = responderOf()
  assert.throws(() => feed(b, publicA, 1), isFault(/too many pieces/))
})

test('what follows plain payload is left as it came', () => {
  const [a, b] = [initiatorOf(), responderOf()]
  const initial = Buffer.from('first')
  const offer = a.receive(b.receive(a.begin()), () => initial)
  const after = Buffer.from('plain')
  const answer = b.receive(Buffer.concat([offer, after]))
  const { rest, enciphered, receiving, method } = b.agreement ?? assert.fail()
  assert.equal(method, 'plain')
  assert.equal(enciphered, initial.length)
  receiving.apply(rest.subarray(0, enciphered))
  assert.equal(String(Buffer.from(rest)), 'firstplain')
  a.receive(Buffer.concat([answer, after]), nothing)
  assert.equal(String(Buffer.from(a.agreement?.rest ?? [])), 'plain')
})
