import type { AddressInfo } from 'node:net'
import { connect, createServer, type Socket } from 'node:net'
import type { Bench } from './bench.ts'

/** A port on loopback that forwards to another and can cut its connections. */
export class Relay {
  address = ''
  /** Number of cut connections. */
  cuts = 0
  readonly #pairs = new Set<readonly [Socket, Socket]>()

  static async start(bench: Bench, port: number): Promise<Relay> {
    const relay = new Relay()
    const server = createServer((near) => {
      const far = connect({ host: '127.0.0.1', port })
      const pair = [near, far] as const
      relay.#pairs.add(pair)
      for (const socket of pair) {
        socket.on('error', () => {})
        socket.on('close', () => {
          relay.#pairs.delete(pair)
          near.destroy()
          far.destroy()
        })
      }
      near.pipe(far)
      far.pipe(near)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    relay.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    bench.after(async () => {
      relay.cut(1)
      await new Promise((resolve) => server.close(resolve))
    })
    return relay
  }

  /** Cuts each connection with this probability, in mid-transfer. */
  cut(chance: number): void {
    for (const [near] of [...this.#pairs]) {
      if (Math.random() >= chance) continue
      this.cuts++
      near.resetAndDestroy()
    }
  }
}
