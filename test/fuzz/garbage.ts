import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

/** Collects garbage now, whatever flags Node was started with. */
export function collectGarbage(): void {
  if (collect === undefined) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  collect()
}

/** Returns bytes of this thread's heap and of its external memory, after a collection. */
export function heldBytes(): number {
  collectGarbage()
  // The second collection waits for the buffers that the first one frees in the background.
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
