/** Returns milliseconds on a monotonic clock; only differences are meaningful. */
export function monotonicMs(): number {
  return performance.now()
}
