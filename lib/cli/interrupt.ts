const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The exit code of a command that was interrupted. */
export const interruptedCode = 130

/** Turns the first Ctrl+C (or SIGTERM, SIGHUP) into an aborted signal; the second ends the process at once. */
export class Interrupt {
  readonly #abort = new AbortController()
  readonly #onFirst: () => void

  /** Listens until `close`. `onFirst` hears of the first one before the signal is aborted. */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst
    for (const name of signals) process.on(name, this.#onSignal)
  }

  /** Aborted with the first Ctrl+C. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Signals do again what they did before. */
  close(): void {
    for (const name of signals) process.off(name, this.#onSignal)
  }

  readonly #onSignal = (): void => {
    if (this.signal.aborted) process.exit(interruptedCode)
    this.#onFirst()
    this.#abort.abort(new Error('interrupted'))
  }
}
