import { EventEmitter, errorMonitor } from 'node:events'

type EventName = string | symbol | number

/** The methods of an event emitter (Node or streamx) that are called here. */
interface Listened {
  listenerCount(event: EventName): number
  rawListeners(event: EventName): readonly unknown[]
}

/** Throws a value on the next tick, as an uncaught exception: the program's own handlers receive the original value. */
export function throwLater(thrown: unknown): void {
  process.nextTick(() => {
    throw thrown
  })
}

/**
 * Calls a callback whose result is ignored. If it throws, the error becomes an uncaught exception, and the
 * caller continues.
 */
export function notify<A extends readonly unknown[]>(
  callback: ((...args: A) => unknown) | undefined,
  ...args: A
): void {
  try {
    callback?.(...args)
  } catch (thrown) {
    throwLater(thrown)
  }
}

/** Calls user code that should return a promise. Synchronous results and errors are converted to one. */
export async function ask<T>(question: () => T | PromiseLike<T>): Promise<T> {
  return await question()
}

/**
 * Emits an event of a public emitter to the user's listeners, each called separately. An error thrown by one
 * is an uncaught exception on the next tick; the other listeners are still called, and the caller continues.
 * An `error` event without a listener is dropped.
 * @returns whether there was a listener.
 */
export function emitSafely(emitter: EventEmitter, event: string | symbol, args: readonly unknown[]): boolean {
  if (emitter.emit === EventEmitter.prototype.emit) return callListeners(emitter, event, args)
  // Programs that trace events replace `emit` of an emitter, and must see every event.
  try {
    return emitter.emit(event, ...args)
  } catch (thrown) {
    throwLater(thrown)
    return true
  }
}

/**
 * Calls the listeners as {@link emitSafely} does. Classes override `emit` with it, so that events that their
 * base class emits are covered, too.
 */
export function callListeners(emitter: Listened, event: EventName, args: readonly unknown[]): boolean {
  if (event === 'error' && emitter.listenerCount(errorMonitor) > 0) callListeners(emitter, errorMonitor, args)
  if (emitter.listenerCount(event) === 0) return false
  // A copy that includes the wrappers of `once`: listeners added or removed meanwhile do not affect this event, as in Node.
  for (const listener of emitter.rawListeners(event)) {
    try {
      if (typeof listener === 'function') Reflect.apply(listener, emitter, args)
    } catch (thrown) {
      throwLater(thrown)
    }
  }
  return true
}
