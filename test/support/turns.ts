import { setImmediate as nextTurn } from 'node:timers/promises'

/**
 * Lets the event loop turn `count` times, so that data sent over loopback is read and answered; the system
 * delivers it at once. Call it last in tests that assert that nothing happens.
 */
export async function turns(count = 50): Promise<void> {
  for (let n = 0; n < count; n++) await nextTurn()
}
