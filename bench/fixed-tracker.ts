import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { encode } from '../lib/bencode/encode.ts'

/** A tracker on loopback. */
export interface FixedTracker {
  readonly url: string
  /** The ports on 127.0.0.1 that every announce returns, for every torrent. */
  ports: readonly number[]
  close(): Promise<void>
}

/** Starts an HTTP tracker (BEP 3, compact as in BEP 23) that returns only the given peers, never those that announce. */
export async function startFixedTracker(): Promise<FixedTracker> {
  const server = createServer((_, response) => {
    const peers = Buffer.concat(
      tracker.ports.map((port) => Buffer.from([127, 0, 0, 1, port >> 8, port & 0xff]))
    )
    response.end(encode({ complete: tracker.ports.length, incomplete: 1, interval: 1800, peers }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const tracker: FixedTracker = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`,
    ports: [],
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
  return tracker
}
