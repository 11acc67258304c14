/** Yields the values of several generators as they arrive. If the consumer stops early, all generators are asked to return. */
export async function* merge<T>(
  sources: readonly AsyncGenerator<T, unknown, void>[]
): AsyncGenerator<T, void, void> {
  const next = (source: AsyncGenerator<T, unknown, void>): Promise<Step<T>> =>
    source.next().then((result) => ({ source, result }))
  const waiting = new Map(sources.map((source) => [source, next(source)]))
  try {
    while (waiting.size > 0) {
      const { source, result } = await Promise.race(waiting.values())
      if (result.done === true) waiting.delete(source)
      else {
        // The next value is requested only when the consumer continues.
        yield result.value
        waiting.set(source, next(source))
      }
    }
  } finally {
    for (const [source, step] of waiting) {
      step.catch(() => {})
      void source.return(undefined).catch(() => {})
    }
  }
}

interface Step<T> {
  readonly source: AsyncGenerator<T, unknown, void>
  readonly result: IteratorResult<T, unknown>
}
