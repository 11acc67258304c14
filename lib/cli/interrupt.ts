const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Exit code of an interrupted command: 128 + SIGINT. */
export const interruptedCode = 130

/** Turns the first Ctrl+C (or SIGTERM, SIGHUP) into an aborted signal; the second ends the process at once. */
export class Interrupt {
  readonly #abort = new AbortController()
  readonly #onFirst: () => void

  /** Listens for signals until `close`. Calls `onFirst` at the first one, before the signal is aborted. */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
    for (const name of signals) process.on(name, this.#onSignal)
  }

  /** Aborted by the first Ctrl+C. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Stops listening, so that signals have their default effect again. */
  close(): void {
    for (const name of signals) process.off(name, this.#onSignal)
  }

  readonly #onSignal = (): void => {
    if (this.signal.aborted) process.exit(interruptedCode)
    this.#onFirst()
    this.#abort.abort(new Error('interrupted'))
  }
}
