import { Client, type ClientOptions, type Torrent } from '../index.ts'
import { abortable, deferred } from '../util/concurrency.ts'
import { Interrupt, interruptedCode } from './interrupt.ts'
import type { Output } from './output.ts'
import { statusOf } from './torrent-status.ts'
import { TrackerNotes } from './tracker-notes.ts'

/** What a command does with a client. */
export interface Session {
  readonly client: Client
  /** Aborted by Ctrl+C, and when nobody reads standard output any more. */
  readonly signal: AbortSignal
  /** Resolves or rejects as `promise` does, but rejects before when a torrent fails or Ctrl+C comes. */
  until<T>(promise: Promise<T>): Promise<T>
}

/** How a {@link runSession} goes. */
export interface SessionOptions {
  readonly client: ClientOptions
  /** What Ctrl+C leaves behind, in a sentence. */
  onInterrupted(torrent: Torrent | undefined): string
  /** The exit code when nobody reads standard output any more; by default 1 unless all is done. */
  readonly codeWhenUnread?: number
}

/** Gives `work` a client and returns its exit code; whatever happens, the client is closed and all is saved before. */
export async function runSession(
  output: Output,
  options: SessionOptions,
  work: (session: Session) => Promise<number>
): Promise<number> {
  const client = new Client(options.client)
  const failure = deferred<never>()
  const interrupt = new Interrupt(() => {
    output.stopStatus()
    output.say('Stopping; once more Ctrl+C quits at once.')
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
    // What fails because we are to stop is no news.
    if (!signal.aborted) {
      // Said before all is closed, for what fails then follows from it.
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
