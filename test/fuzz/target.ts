import type { Random } from './random.ts'

/** The format of inputs, which decides how they are mutated. */
export type Grammar = 'bytes' | 'bencode' | 'text' | 'json'

/** Assertions of a target about its input. */
export interface Check {
  /** Random numbers that repeat with the input. */
  readonly random: Random
  /** Runs work that holds the event loop; more than 100 ms of CPU is a finding. */
  turn<T>(work: () => T): T
  /** Runs sliced work to its end; each slice is a turn. */
  steps<T>(steps: Generator<void, T, void>): T
  /** Runs work that yields to the event loop; each turn until it is done counts. */
  turns<T>(work: () => Promise<T>): Promise<T>
  /** Fails unless the condition holds. */
  that(condition: boolean, what: string): void
  /** Fails unless both values are deeply equal. */
  equal(actual: unknown, expected: unknown, what: string): void
}

/** A parser, or several of the same input, for the fuzzer. */
export interface Target {
  readonly name: string
  readonly grammar: Grammar
  /** Folders of `corpus/` whose files are the first inputs. */
  readonly corpus: readonly string[]
  /** First inputs made by our own encoders. */
  readonly seeds?: () => readonly (Uint8Array | string)[]
  /** Texts that parsers look for: keys, header names, schemes. */
  readonly words?: readonly string[]
  /** Longest input in bytes; 16 KiB by default. */
  readonly maxBytes?: number
  /** Whether a thrown value is a refusal, besides a TorrentError. */
  readonly refuses?: (thrown: unknown) => boolean
  /**
   * Parses the input and checks invariants of every result. The returned value tells outcomes apart. A
   * TorrentError is an outcome, any other exception a finding.
   */
  run(input: Uint8Array, check: Check): unknown
}
