import { Duplex } from 'node:stream'
import type { Connection } from '../net/connection.ts'

/** Starts a connection and returns it as a Duplex. Received bytes are copied, because a connection only lends them. */
export function toDuplex(connection: Connection): Duplex {
  let written: (() => void) | undefined
  const write = (buffers: Uint8Array[], done: () => void): void => {
    if (connection.write(buffers)) done()
    else written = done
  }
  const duplex = new Duplex({
    read: () => connection.resume(),
    write: (chunk: Uint8Array, _encoding, done) => write([chunk], done),
    writev: (chunks, done) =>
      write(
        chunks.map(({ chunk }) => chunk),
        done
      ),
    destroy: (error, done) => {
      connection.close(error ?? undefined)
      done(error)
    }
  })
  connection.start({
    onReceive: (chunk) => duplex.push(new Uint8Array(chunk)),
    onDrain: () => {
      const done = written
      written = undefined
      done?.()
    },
    onClose: (error) => {
      if (error !== undefined) {
        duplex.destroy(error)
        return
      }
      duplex.push(null)
      duplex.end()
      // A pending write to the closed end completes.
      written?.()
    }
  })
  return duplex
}
