import { MseInitiator } from '../../../lib/transport/mse/initiator.ts'
import { keyLength, keyPairOf } from '../../../lib/transport/mse/key-pair.ts'
import { limits } from '../../../lib/transport/mse/limits.ts'
import type { MseHandshake } from '../../../lib/transport/mse/mse-handshake.ts'
import { MseResponder } from '../../../lib/transport/mse/responder.ts'
import { nameOf } from '../../../lib/transport/mse/secrets.ts'
import { equalBytes } from '../../../lib/util/bytes.ts'
import type { Check, Target } from '../target.ts'

const infoHash = new Uint8Array(20).fill(7)
const keys = {
  dialler: keyPairOf(new Uint8Array(20).fill(1)),
  dialled: keyPairOf(new Uint8Array(20).fill(2))
}
const handshake = new Uint8Array(68).fill(9)

function initiatorOf(pad: number): MseInitiator {
  return new MseInitiator({
    infoHash,
    methods: ['plain', 'rc4'],
    keyPair: keys.dialler,
    padLength: () => pad
  })
}

function responderOf(pad: number): MseResponder {
  return new MseResponder({
    encryption: 'prefer',
    keyPair: keys.dialled,
    find: (name) => (equalBytes(name, nameOf(infoHash)) ? infoHash : undefined),
    padLength: () => pad
  })
}

/** All bytes that each side of a handshake sends, after a byte that names the receiver. */
function conversation(pad: number): Uint8Array[] {
  const [a, b] = [initiatorOf(pad), responderOf(pad)]
  const [key, answer] = [a.begin(), [] as Uint8Array[]]
  answer.push(b.receive(key))
  const offer = a.receive(answer[0] ?? key, () => handshake)
  answer.push(b.receive(offer))
  return [Buffer.concat([Uint8Array.of(0), key, offer]), Buffer.concat([Uint8Array.of(1), ...answer])]
}

/** Passes the input in chunks. Returns the side, and the number of bytes that it took. */
function receive(side: MseHandshake, input: Uint8Array, chunk: number, check: Check): number {
  let at = 0
  while (at < input.length && side.agreement === undefined) {
    const part = input.subarray(at, at + chunk)
    const reply = check.turn(() => side.receive(part, () => handshake))
    check.that(reply.length <= 2 * keyLength + 2 * limits.padBytes + 256, 'a reply is not bounded')
    at += part.length
  }
  return at
}

/** Handshakes of MSE, of both sides. The first byte tells the side, and how the rest is cut. */
export const mse: Target = {
  name: 'mse',
  grammar: 'bytes',
  corpus: [],
  seeds: () => [0, 3, limits.padBytes].flatMap(conversation),
  maxBytes: 4096,
  run(input, check) {
    const [kind = 0] = input
    const bytes = input.subarray(1)
    const side = kind % 2 === 0 ? responderOf(0) : initiatorOf(0)
    const taken = receive(side, bytes, kind < 2 ? bytes.length : 48 + kind, check)
    const { agreement } = side
    if (agreement === undefined) return side.heard
    const { method, enciphered, rest } = agreement
    check.that(side.heard === 'answer', 'there is an agreement without an answer')
    check.that(rest.length <= taken, 'there is more left than was received')
    check.that(enciphered <= 0xffff, 'the first payload is not bounded')
    const end = bytes.subarray(taken - rest.length, taken)
    check.that(equalBytes(rest, end), 'the rest is not the end of what was received')
    return { method, enciphered, rest: rest.length }
  }
}
