import { createSocket, type Socket } from 'node:dgram'
import { setImmediate } from 'node:timers/promises'

/** A request to a UDP tracker. */
export interface UdpRequest {
  readonly action: 'connect' | 'announce' | 'scrape'
  readonly connectionId: bigint
  readonly transactionId: number
  readonly bytes: Buffer
  /** Sends an answer. Action and transaction id may be falsified. */
  reply(action: number, body: Uint8Array, options?: { transactionId?: number; from?: Socket }): void
}

/** A loopback UDP tracker that records its requests, and answers as the test says. */
export interface UdpTracker extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly requests: UdpRequest[]
  /** Waits for the n-th request, counted from 1. */
  request(n: number): Promise<UdpRequest>
}

/** The connection id that {@link politely} sends. */
export const goodConnectionId = 0x1122334455667788n

/** Answers a connect with {@link goodConnectionId}, and an announce with one peer. */
export function politely(request: UdpRequest): void {
  if (request.action === 'connect') request.reply(0, connectionBody(goodConnectionId))
  else if (request.action === 'announce')
    request.reply(1, announceBody(1800, 3, 5, [10, 0, 0, 1, 0x1a, 0xe1]))
  else request.reply(2, words(7, 8, 9))
}

/** Returns the body of a connect answer. */
export function connectionBody(id: bigint): Uint8Array {
  const body = Buffer.alloc(8)
  body.writeBigUInt64BE(id)
  return body
}

/** Returns the body of an announce answer. */
export function announceBody(
  interval: number,
  leechers: number,
  seeders: number,
  peers: number[]
): Uint8Array {
  return Buffer.concat([words(interval, leechers, seeders), Uint8Array.from(peers)])
}

/** Encodes 32-bit numbers. */
export function words(...values: number[]): Uint8Array {
  const body = Buffer.alloc(4 * values.length)
  values.forEach((value, n) => {
    body.writeInt32BE(value | 0, 4 * n)
  })
  return body
}

/** Starts a tracker, at a free port by default. */
export async function udpTracker(
  answer: (request: UdpRequest, n: number) => void = politely,
  host = '127.0.0.1',
  wantedPort = 0
): Promise<UdpTracker> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  const requests: UdpRequest[] = []
  socket.on('message', (bytes, { port, address }) => {
    const transactionId = bytes.readUInt32BE(12)
    const request: UdpRequest = {
      action: (['connect', 'announce', 'scrape'] as const)[bytes.readUInt32BE(8)] ?? 'connect',
      connectionId: bytes.readBigUInt64BE(0),
      transactionId,
      bytes,
      reply(action, body, options = {}) {
        const head = words(action, options.transactionId ?? transactionId)
        ;(options.from ?? socket).send(Buffer.concat([head, body]), port, address)
      }
    }
    answer(request, requests.push(request))
  })
  await new Promise<void>((resolve) => socket.bind(wantedPort, host, resolve))
  const { port } = socket.address()
  return {
    url: `udp://${host.includes(':') ? `[${host}]` : host}:${port}/announce`,
    port,
    requests,
    async request(n) {
      for (;;) {
        const request = requests[n - 1]
        if (request !== undefined) return request
        await setImmediate()
      }
    },
    [Symbol.asyncDispose]: () => new Promise((resolve) => socket.close(() => resolve()))
  }
}
