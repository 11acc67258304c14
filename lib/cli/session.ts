import { Client, type ClientOptions, type Torrent } from '../index.ts'
import { abortable, deferred } from '../util/concurrency.ts'
import { Interrupt, interruptedCode } from './interrupt.ts'
import type { Output } from './output.ts'
import { statusOf } from './torrent-status.ts'
import { TrackerNotes } from './tracker-notes.ts'

/** The arguments that {@link runSession} passes to the work of a command. */
export interface Session {
  readonly client: Client
  /** Aborted by Ctrl+C, and when the reader of standard output is gone. */
  readonly signal: AbortSignal
  /** Settles as `promise` does, but rejects earlier when a torrent fails or `signal` is aborted. */
  until<T>(promise: Promise<T>): Promise<T>
}

/** Options of {@link runSession}. */
export interface SessionOptions {
  readonly client: ClientOptions
  /** Returns a sentence on the state after Ctrl+C. */
  onInterrupted(torrent: Torrent | undefined): string
  /** The exit code when the reader of standard output is gone; default 0 if the torrent is complete, else 1. */
  readonly codeWhenUnread?: number
}

/** Runs `work` with a client and returns its exit code. Always closes the client, which saves the state. */
export async function runSession(
  output: Output,
  options: SessionOptions,
  work: (session: Session) => Promise<number>
): Promise<number> {
  const client = new Client(options.client)
  const failure = deferred<never>()
  const interrupt = new Interrupt(() => {
    output.stopStatus()
    output.say('Stopping; press Ctrl+C again to quit at once.')
  })
  const notes = new TrackerNotes(output)
  let torrent: Torrent | undefined
  let sentence: string | undefined
  client.on('warning', (warning) => output.warn(warning))
  client.on('error', (error) => failure.reject(error))
  client.on('torrent', (added) => {
    torrent = added
    notes.watch(added)
    output.startStatus(() => statusOf(added, client))
  })
  const signal = AbortSignal.any([interrupt.signal, output.unread])
  const until = <T>(promise: Promise<T>): Promise<T> =>
    abortable(Promise.race([promise, failure.promise]), signal)
  try {
    return await work({ client, signal, until })
  } catch (thrown) {
    output.stopStatus()
    // An error after the abort is a consequence of stopping.
    if (!signal.aborted) {
      // Written before closing, because closing may cause further errors.
      output.fail(thrown)
      throw thrown
    }
    if (!interrupt.signal.aborted) return options.codeWhenUnread ?? (torrent?.done === true ? 0 : 1)
    sentence = options.onInterrupted(torrent)
    return interruptedCode
  } finally {
    output.stopStatus()
    notes.close()
    await client.close()
    interrupt.close()
    if (sentence !== undefined) {
      output.say(sentence)
      output.event('stopped', { progress: torrent?.progress ?? 0 })
    }
  }
}
