import { execute } from './execution.ts'
import { Finding } from './finding.ts'
import { smallerBencode } from './mutate-bencode.ts'
import type { Target } from './target.ts'

/** A finding to minimise. */
export interface MinimiseOptions {
  readonly target: Target
  readonly finding: Finding
  readonly timeMs: number
  /** Called with each input before it runs. */
  readonly onInput?: (input: Uint8Array) => void
}

/** Returns a smaller input with the same finding, as far as one is found in time. */
export async function minimise(
  { target, finding, timeMs, onInput }: MinimiseOptions,
  input: Uint8Array
): Promise<Uint8Array> {
  const until = performance.now() + timeMs
  const shows = async (smaller: Uint8Array): Promise<boolean> => {
    onInput?.(smaller)
    try {
      await execute(target, smaller)
      return false
    } catch (thrown) {
      return thrown instanceof Finding && thrown.key === finding.key
    }
  }
  let best = input
  for (let isSmaller = true; isSmaller; ) {
    isSmaller = false
    for (const smaller of candidates(target, best)) {
      if (performance.now() > until) return best
      if (smaller.length >= best.length || !(await shows(smaller))) continue
      best = smaller
      isSmaller = true
      break
    }
  }
  return best
}

function* candidates(target: Target, input: Uint8Array): Generator<Uint8Array> {
  if (target.grammar === 'bencode') yield* smallerBencode(input)
  for (let length = input.length >> 1; length >= 1; length >>= 1) {
    for (let at = 0; at < input.length; at += length)
      yield new Uint8Array(Buffer.concat([input.subarray(0, at), input.subarray(at + length)]))
  }
}
