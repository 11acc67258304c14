import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Lets the event loop turn, so that what was sent over loopback is read and answered: the system delivers it at once. For tests that nothing
 * happens, after the last thing that is awaited.
 */
export async function turns(count = 50): Promise<void> {
  for (let n = 0; n < count; n++) await nextTurn()
}
