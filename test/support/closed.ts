import type { EventEmitter } from 'node:events'

/** Resolves when a connection is closed, also after an error such as ECONNRESET, with which `events.once` would reject. */
export async function whenClosed(connection: EventEmitter & { readonly closed: boolean }): Promise<void> {
  if (connection.closed) return
  await new Promise<void>((resolve) => {
    connection.once('close', () => resolve())
  })
}
