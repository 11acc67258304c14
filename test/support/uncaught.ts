import type { TestContext } from 'node:test'

/** Collects uncaught exceptions for the rest of a test, so that they do not fail it. */
export function collectUncaught(t: TestContext): unknown[] {
  const uncaught: unknown[] = []
  process.setUncaughtExceptionCaptureCallback((error) => uncaught.push(error))
  t.after(() => process.setUncaughtExceptionCaptureCallback(null))
  return uncaught
}
