/** Something that was asked. */
export interface Asked<T> {
  /** Undefined when it failed; never rejects. */
  readonly answer: Promise<T | undefined>
  /** Resolves when it has been silent for so long that the next one should be asked too. */
  readonly silence: Promise<void>
}

/**
 * Asks one after the other, each once the one before has failed or fallen silent, and returns the first answer; undefined when all
 * failed, or the signal is aborted and what was asked has ended. The others are left to end by themselves.
 */
export function firstAnswer<K, T>(
  list: readonly K[],
  ask: (item: K) => Asked<T>,
  signal: AbortSignal
): Promise<T | undefined> {
  return new Promise((resolve) => {
    let asked = 0
    let open = 0
    let found = false
    const next = (): void => {
      const item = list[asked]
      if (found || item === undefined || signal.aborted) {
        if (open === 0) resolve(undefined)
        return
      }
      const place = ++asked
      open++
      const { answer, silence } = ask(item)
      void silence.then(() => {
        if (place === asked) next()
      })
      void answer.then((value) => {
        open--
        if (value !== undefined) {
          found = true
          resolve(value)
        } else if (place === asked || open === 0) next()
      })
    }
    next()
  })
}
