import type { Random } from './random.ts'

const boundaries = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x3fff, 0x4000, 0x4001
] as const
const words = [...boundaries, 0x1fffff, 0x200000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff] as const

/** Joins bytes. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** Returns random bytes. */
export function anyBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256))
}

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array

function spliced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  return joinBytes(bytes.subarray(0, at), insert, bytes.subarray(at + remove))
}

/** Overwrites bytes with as many others. */
function overwritten(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy.set(by.subarray(0, Math.max(0, copy.length - at)), at)
  return copy
}

function part(bytes: Uint8Array, random: Random, most: number): Uint8Array {
  const length = random.length(Math.min(most, bytes.length))
  const at = random.below(bytes.length - length + 1)
  return bytes.subarray(at, at + length)
}

/** Returns a number of 1 to 8 bytes in either byte order. */
function number(random: Random): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setUint32(4, random.pick(words) + random.below(3) - 1)
  const width = random.pick([1, 2, 4, 4, 8])
  const value = bytes.slice(8 - width)
  return random.oneIn(4) ? value.reverse() : value
}

const mutations: readonly [Mutation, ...Mutation[]] = [
  (bytes, random) => {
    const at = random.below(bytes.length)
    return overwritten(bytes, at, Uint8Array.of((bytes[at] ?? 0) ^ (1 << random.below(8))))
  },
  (bytes, random) => overwritten(bytes, random.below(bytes.length), anyBytes(random, 1 + random.below(4))),
  (bytes, random) => {
    const at = random.below(bytes.length)
    return overwritten(bytes, at, Uint8Array.of((bytes[at] ?? 0) + random.below(9) - 4))
  },
  (bytes, random) => overwritten(bytes, random.below(bytes.length), number(random)),
  (bytes, random) =>
    spliced(bytes, random.below(bytes.length + 1), 0, anyBytes(random, 1 + random.length(64))),
  (bytes, random) =>
    spliced(
      bytes,
      random.below(bytes.length + 1),
      0,
      new Uint8Array(1 + random.length(4096)).fill(random.pick([0, 0xff, 0x30, 0x61]))
    ),
  (bytes, random) =>
    spliced(bytes, random.below(bytes.length), 1 + random.length(bytes.length), new Uint8Array()),
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => spliced(bytes, random.below(bytes.length + 1), 0, part(bytes, random, 4096)),
  (bytes, random) => overwritten(bytes, random.below(bytes.length), part(bytes, random, 256)),
  (bytes, random, other) =>
    joinBytes(
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length + 1))
    ),
  (bytes, random, other) => spliced(bytes, random.below(bytes.length + 1), 0, part(other, random, 1024)),
  (bytes, _, other) => joinBytes(bytes, other)
]

/** Mutates bytes: bit flips, numbers at boundaries, insertions, removals and parts of another input. */
export function mutateBytes(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  if (bytes.length === 0) return anyBytes(random, 1 + random.length(64))
  return random.pick(mutations)(bytes, random, other)
}
