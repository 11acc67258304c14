const lookEveryMs = 2
/** Unused CPU time saved for bursts, in milliseconds. */
const mostSavedMs = 20

/**
 * Limits this process to a fraction of one core: when its threads together exceed it, blocks the event loop until the average is
 * below the limit again. Returns a function that returns the fraction used since its last call.
 */
export function limitCpu(part: number): () => number {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  let before = performance.now()
  let usedBefore = cpuMs()
  let savedMs = 0
  setInterval(() => {
    const now = performance.now()
    const used = cpuMs()
    savedMs = Math.min(mostSavedMs, savedMs + part * (now - before)) - (used - usedBefore)
    before = now
    usedBefore = used
    if (savedMs < 0) Atomics.wait(cell, 0, 0, -savedMs / part)
  }, lookEveryMs)
  let fromMs = before
  let fromUsed = usedBefore
  return () => {
    const now = performance.now()
    const used = cpuMs()
    const share = (used - fromUsed) / (now - fromMs)
    fromMs = now
    fromUsed = used
    return share
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
