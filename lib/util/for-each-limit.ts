/**
 * Calls `task` with 0 to `count` - 1, at most `limit` at a time; a synchronous task returns undefined. After
 * the first failure no further tasks start; the promise rejects with it once the running tasks have settled.
 */
export async function forEachLimit(
  count: number,
  limit: number,
  task: (index: number) => Promise<void> | undefined
): Promise<void> {
  let next = 0
  let failed = false
  let failure: unknown
  const lane = async (): Promise<void> => {
    while (next < count && !failed) {
      try {
        const work = task(next++)
        if (work !== undefined) await work
      } catch (error) {
        if (!failed) failure = error
        failed = true
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, count) }, lane))
  if (failed) throw failure
}
