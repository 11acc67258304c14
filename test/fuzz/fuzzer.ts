import { amplify } from './amplify.ts'
import { execute } from './execution.ts'
import { Finding } from './finding.ts'
import { heldBytes } from './garbage.ts'
import { mutateBencode } from './mutate-bencode.ts'
import { anyBytes, mutateBytes } from './mutate-bytes.ts'
import { mutateJson } from './mutate-json.ts'
import { mutateText } from './mutate-text.ts'
import { Random } from './random.ts'
import type { Target } from './target.ts'

/** Limit of kept inputs; a further one replaces another. */
const mostKept = 2000
const longestInput = 16 << 10
/** Bytes. Longer inputs are not mutated further: they would slow down all later runs. */
const longestKept = 16 << 10
/** Number of inputs between two that are amplified to the parser's limit. */
const inputsPerAmplified = 150
const mostShapes = 50_000
/** Most bytes of the fuzzer's own map for each outcome besides its text: 50,000 outcomes look like a leak. */
const bytesOfEntry = 150
/** Allowed growth in bytes between two windows: caches fill, and code is compiled. */
const spareBytes = 8 << 20
/** The first window is for warming up. */
const windowsBefore = 2

/** Options of a {@link Fuzzer}. */
export interface FuzzerOptions {
  readonly target: Target
  readonly seed: number
  /** First inputs. */
  readonly corpus: readonly Uint8Array[]
  /** Called with each input before it runs. */
  readonly onInput?: (input: Uint8Array) => void
}

/** Mutates inputs of a target and keeps those that lead to new outcomes. */
export class Fuzzer {
  readonly target: Target
  executions = 0
  readonly #random: Random
  readonly #kept: Uint8Array[] = []
  /** The kept input of each kind of outcome. */
  readonly #shapes = new Map<string, number>()
  readonly #corpus: readonly Uint8Array[]
  readonly #onInput: (input: Uint8Array) => void
  readonly #windows: number[] = []

  constructor({ target, seed, corpus, onInput = () => {} }: FuzzerOptions) {
    this.target = target
    this.#random = new Random(seed)
    this.#onInput = onInput
    this.#corpus = [...corpus, ...(target.seeds?.() ?? []).map((one) => Buffer.from(one))]
  }

  /** Inputs that led to new outcomes, each once. */
  get kept(): readonly Uint8Array[] {
    return this.#kept
  }

  /** Number of kinds of outcomes seen. */
  get outcomes(): number {
    return this.#shapes.size
  }

  /** Runs each first input unchanged. Yields findings. */
  async *begin(): AsyncGenerator<[Uint8Array, Finding]> {
    for (const input of this.#corpus) {
      const finding = await this.#try(new Uint8Array(input))
      if (finding !== undefined) yield [input, finding]
    }
  }

  /** Makes and runs one input. Returns it with its finding, if any. */
  async next(): Promise<[Uint8Array, Finding] | undefined> {
    const input = this.#make()
    const finding = await this.#try(input)
    return finding === undefined ? undefined : [input, finding]
  }

  /**
   * Ends a window of executions. Returns a finding when each of the last windows held much more memory than
   * the one before.
   */
  checkGrowth(): Finding | undefined {
    let own = 0
    for (const { length } of this.#kept) own += length
    for (const shape of this.#shapes.keys()) own += 2 * shape.length + bytesOfEntry
    this.#windows.push(heldBytes() - own)
    const [before, ...later] = this.#windows.slice(windowsBefore)
    if (before === undefined || later.length < 3) return undefined
    const least = Math.min(...later.slice(-3))
    if (least - before < spareBytes) return undefined
    return new Finding('growth', `${least - before} bytes more are held than ${later.length} windows before`)
  }

  async #try(input: Uint8Array): Promise<Finding | undefined> {
    this.executions++
    this.#onInput(input)
    try {
      const { shape } = await execute(this.target, input)
      const known = this.#shapes.get(shape)
      if (known === undefined) {
        if (this.#shapes.size < mostShapes && input.length <= longestKept) this.#keep(shape, input)
      } else if (input.length < (this.#kept[known]?.length ?? 0)) this.#kept[known] = input
      return undefined
    } catch (thrown) {
      if (thrown instanceof Finding) return thrown
      throw thrown
    }
  }

  #keep(shape: string, input: Uint8Array): void {
    const isFull = this.#kept.length >= mostKept
    const place = isFull ? this.#random.below(mostKept) : this.#kept.length
    this.#kept[place] = input
    // A string made of others keeps them all in memory, also the input that an error message quotes.
    this.#shapes.set(Buffer.from(shape).toString(), place)
  }

  #make(): Uint8Array {
    const random = this.#random
    const { target } = this
    if (this.#kept.length === 0 || random.oneIn(200)) return anyBytes(random, random.length(300))
    // The latest inputs have been mutated least.
    const recent = Math.max(1, Math.min(this.#kept.length, 50))
    const index = random.oneIn(3)
      ? this.#kept.length - 1 - random.below(recent)
      : random.below(this.#kept.length)
    let input = this.#kept[index] ?? new Uint8Array()
    do input = this.#mutate(input)
    while (random.oneIn(2))
    const { grammar, maxBytes = longestInput } = target
    if (random.oneIn(inputsPerAmplified) && input.length > 0)
      input = amplify(input, random, grammar, maxBytes)
    return input.slice(0, maxBytes)
  }

  #mutate(input: Uint8Array): Uint8Array {
    const random = this.#random
    const { grammar, words = [] } = this.target
    const other = random.pick(this.#kept) ?? input
    if (grammar === 'bytes') return mutateBytes(input, random, other)
    const mutate = { bencode: mutateBencode, text: mutateText, json: mutateJson }[grammar]
    return mutate(input, random, words, other)
  }
}
