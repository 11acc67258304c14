/** A request in progress. */
export interface Asked<T> {
  /** Resolves to undefined if the request failed; never rejects. */
  readonly answer: Promise<T | undefined>
  /** Resolves when the request has been silent for so long that the next one should start. */
  readonly silence: Promise<void>
}

/**
 * Starts requests one after the other, each when the previous one has failed or is silent, and returns the
 * first answer. Returns undefined if all failed, or if the signal was aborted and the requests in progress
 * have ended. Other requests continue on their own.
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
      const position = ++asked
      open++
      const { answer, silence } = ask(item)
      void silence.then(() => {
        if (position === asked) next()
      })
      void answer.then((value) => {
        open--
        if (value !== undefined) {
          found = true
          resolve(value)
        } else if (position === asked || open === 0) next()
      })
    }
    next()
  })
}
