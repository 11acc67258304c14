import { rc4Module } from './rc4-module.ts'

/** Enciphers the bytes of a run at the start of the module's data, in place. */
interface Engine {
  readonly memory: Uint8Array
  run(from: number, end: number): void
}

// Node has WebAssembly without types for it.
interface WasmGlobal {
  readonly WebAssembly?: {
    readonly Module: new (bytes: Uint8Array) => object
    readonly Instance: new (
      module: object
    ) => {
      readonly exports: {
        readonly m: { readonly buffer: ArrayBuffer }
        x(from: number, end: number): void
      }
    }
  }
}

/** Address of the data in the module's memory. */
const dataAt = 1024
/** Bytes of a run; fits the first caches of a core. */
const runLength = 32_768
/** Bytes below which copying the state costs more than the faster loop saves. */
const shortLength = 256
/** Bytes of the permutation, of `i` and of `j`. */
const stateLength = 258

let engine: Engine | undefined | 'unknown' = 'unknown'

/** Creates the engine; undefined where WebAssembly is missing or refused. */
function makeEngine(): Engine | undefined {
  const { WebAssembly } = globalThis as WasmGlobal
  if (WebAssembly === undefined) return undefined
  try {
    const { m, x } = new WebAssembly.Instance(new WebAssembly.Module(rc4Module)).exports
    return { memory: new Uint8Array(m.buffer), run: x }
  } catch {
    return undefined
  }
}

/** Chooses the code that runs the cipher: WebAssembly where there is any, by default, or JavaScript alone. For tests. */
export function useWebAssembly(use: boolean): void {
  engine = use ? 'unknown' : undefined
}

/**
 * One direction of an RC4 stream. Obfuscates only: RC4 is broken as a cipher. The state is kept here and is
 * copied into the module for each call, so that nothing has to be released.
 */
export class Rc4 {
  readonly #state = new Uint8Array(stateLength)

  /** Creates the stream of a key, without its first `dropped` bytes. */
  constructor(key: Uint8Array, dropped = 0) {
    const state = this.#state
    for (let i = 0; i < 256; i++) state[i] = i
    let j = 0
    for (let i = 0; i < 256; i++) {
      const a = state[i] as number
      j = (j + a + (key[i % key.length] as number)) & 255
      state[i] = state[j] as number
      state[j] = a
    }
    if (dropped > 0) this.apply(new Uint8Array(dropped))
  }

  /** Enciphers or deciphers `from` into `to`, by default in place. */
  apply(from: Uint8Array, to: Uint8Array = from): void {
    if (engine === 'unknown') engine = makeEngine()
    if (engine === undefined || from.length < shortLength) this.#applyHere(from, to)
    else this.#applyThere(engine, from, to)
  }

  #applyHere(from: Uint8Array, to: Uint8Array): void {
    const state = this.#state
    const { length } = from
    let i = state[256] as number
    let j = state[257] as number
    for (let at = 0; at < length; at++) {
      i = (i + 1) & 255
      const a = state[i] as number
      j = (j + a) & 255
      const b = state[j] as number
      state[i] = b
      state[j] = a
      to[at] = (from[at] as number) ^ (state[(a + b) & 255] as number)
    }
    state[256] = i
    state[257] = j
  }

  #applyThere({ memory, run }: Engine, from: Uint8Array, to: Uint8Array): void {
    memory.set(this.#state, 0)
    for (let at = 0; at < from.length; at += runLength) {
      const part = from.length - at > runLength ? from.subarray(at, at + runLength) : from.subarray(at)
      const end = dataAt + part.length
      memory.set(part, dataAt)
      run(dataAt, end)
      to.set(memory.subarray(dataAt, end), at)
    }
    this.#state.set(memory.subarray(0, stateLength))
  }
}
