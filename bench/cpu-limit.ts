const lookEveryMs = 2
/** Unused time that is saved for bursts. */
const mostSavedMs = 20

/**
 * Limits this process to a part of one core: when its threads together have used more, the event loop is blocked until the average is
 * below the limit again. The function returned gives the part that was used since its last call.
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
