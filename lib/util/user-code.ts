import { EventEmitter, errorMonitor } from 'node:events'

type EventName = string | symbol | number

/** The methods used of an emitter, of Node or streamx. */
interface Listened {
  listenerCount(event: EventName): number
  rawListeners(event: EventName): readonly unknown[]
}

/** Throws a fault of user code again on the next tick, where the program's own handlers see the original value. */
export function throwLater(thrown: unknown): void {
  process.nextTick(() => {
    throw thrown
  })
}

/** Calls a callback that is only told something. What it throws is an uncaught exception of the program, and the caller goes on. */
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

/** Asks user code that should answer with a promise: one that throws, or answers at once, counts as such a promise. */
export async function ask<T>(question: () => T | PromiseLike<T>): Promise<T> {
  return await question()
}

/**
 * Emits an event of a public emitter to listeners of the user. Each listener is called by itself: what one throws is an uncaught exception
 * on the next tick, the others still hear the event, and the caller goes on. An `error` without a listener is dropped.
 * Returns whether there was a listener.
 */
export function emitSafely(emitter: EventEmitter, event: string | symbol, args: readonly unknown[]): boolean {
  if (emitter.emit === EventEmitter.prototype.emit) return callListeners(emitter, event, args)
  // Programs that trace events replace `emit` of an emitter, and must see them.
  try {
    return emitter.emit(event, ...args)
  } catch (thrown) {
    throwLater(thrown)
    return true
  }
}

/** The same for a class that overrides `emit` by this, so that events of its base class are emitted so too. */
export function callListeners(emitter: Listened, event: EventName, args: readonly unknown[]): boolean {
  if (event === 'error' && emitter.listenerCount(errorMonitor) > 0) callListeners(emitter, errorMonitor, args)
  if (emitter.listenerCount(event) === 0) return false
  // A copy with the wrappers of `once`: who is added or removed meanwhile changes nothing for this event, as in Node.
  for (const listener of emitter.rawListeners(event)) {
    try {
      if (typeof listener === 'function') Reflect.apply(listener, emitter, args)
    } catch (thrown) {
      throwLater(thrown)
    }
  }
  return true
}
