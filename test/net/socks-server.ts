// A SOCKS5 proxy on loopback for tests. Every detail that a real one may get wrong can be set.
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { parseSocksAddress } from '../../lib/net/socks-address.ts'
import { encodeSocksHeader, parseSocksDatagram } from '../../lib/net/socks-datagram.ts'
import type { PeerAddress } from '../../lib/util/address.ts'

export interface SocksServerOptions {
  /** `user:password`, which clients must give. */
  readonly login?: string
  /** Returns the reply code for a request, or undefined for no answer; default 0. */
  readonly reply?: (target: PeerAddress, command: number) => number | undefined
  /** Addresses of host names; the target of a name is this machine by default. */
  readonly names?: Readonly<Record<string, string>>
  /** Changes a datagram to the client, such as its header. */
  readonly datagram?: (datagram: Uint8Array) => Uint8Array
  /** Bytes that are sent together with the answer. */
  readonly rest?: string
  /** Address of the relay in the answer; default 127.0.0.1. */
  readonly relayHost?: string
  readonly port?: number
}

export interface SocksServer {
  readonly port: number
  /** `host:port` of each request, in order; datagrams as `udp host:port`. */
  readonly asked: readonly string[]
  /** Port of the latest UDP relay. */
  readonly relayPort: () => number
  /** Port from which the client last sent a datagram. */
  readonly clientPort: () => number
  /** Ends all connections of clients, and with them their relays. */
  drop(): void
  close(): Promise<void>
}

export async function startSocks(options: SocksServerOptions = {}): Promise<SocksServer> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  let relayPort = 0
  let lastClientPort = 0
  const track = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }
  const resolve = (host: string): string => options.names?.[host] ?? (/[a-z]/.test(host) ? '127.0.0.1' : host)

  const associate = async (client: Socket): Promise<PeerAddress> => {
    const relay: UdpSocket = createSocket('udp4')
    relay.bind(0, '127.0.0.1')
    await once(relay, 'listening')
    let clientPort: number | undefined
    relay.on('message', (message, from) => {
      if (clientPort === undefined || from.port === clientPort) {
        clientPort = from.port
        lastClientPort = clientPort
        const parsed = parseSocksDatagram(message)
        if (parsed === undefined) return
        asked.push(`udp ${parsed.from.host}:${parsed.from.port}`)
        relay.send(parsed.message, parsed.from.port, resolve(parsed.from.host))
        return
      }
      const header = encodeSocksHeader({ host: from.address, port: from.port }) ?? new Uint8Array()
      const datagram = Uint8Array.of(...header, ...message)
      relay.send(options.datagram?.(datagram) ?? datagram, clientPort, '127.0.0.1')
    })
    relay.on('error', () => {})
    client.on('close', () => relay.close())
    relayPort = relay.address().port
    return { host: options.relayHost ?? '127.0.0.1', port: relayPort }
  }

  const serve = async (socket: Socket): Promise<void> => {
    const read = reader(socket)
    const [, count = 0] = await read(2)
    const methods = await read(count)
    const method = options.login === undefined ? 0 : 2
    socket.write(Uint8Array.of(5, methods.includes(method) ? method : 0xff))
    if (!methods.includes(method)) return void socket.end()
    if (options.login !== undefined) {
      const [, userLength = 0] = await read(2)
      const user = Buffer.from(await read(userLength)).toString()
      const [passwordLength = 0] = await read(1)
      const password = Buffer.from(await read(passwordLength)).toString()
      const isRight = `${user}:${password}` === options.login
      socket.write(Uint8Array.of(1, isRight ? 0 : 1))
      if (!isRight) return void socket.end()
    }
    const [, command = 0] = await read(3)
    let bytes = await read(4)
    let target = parseSocksAddress(bytes, 0)
    while (target === 'short') {
      bytes = Uint8Array.of(...bytes, ...(await read(1)))
      target = parseSocksAddress(bytes, 0)
    }
    if (target === 'unknown') return void socket.destroy()
    if (command === 1) asked.push(`${target.host}:${target.port}`)
    const code = options.reply === undefined ? 0 : options.reply(target, command)
    if (code === undefined) return
    const answer = (bound: PeerAddress, failure = code): void => {
      const header = encodeSocksHeader(bound) ?? new Uint8Array()
      socket.write(Uint8Array.of(5, failure, ...header.subarray(2), ...Buffer.from(options.rest ?? '')))
    }
    const nothing = { host: '0.0.0.0', port: 0 }
    if (code !== 0) return answer(nothing)
    if (command === 3) return answer(await associate(socket))
    const remote = connect(target.port, resolve(target.host))
    track(remote)
    remote.on('connect', () => {
      answer(nothing)
      const rest = read.rest()
      if (rest.length > 0) remote.write(rest)
      socket.pipe(remote).pipe(socket)
    })
    remote.on('error', () => answer(nothing, 5))
    socket.on('close', () => remote.destroy())
    remote.on('close', () => socket.destroy())
  }

  const server = createServer((socket) => {
    track(socket)
    serve(socket).catch(() => socket.destroy())
  })
  server.listen(options.port ?? 0, '127.0.0.1')
  await once(server, 'listening')
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    relayPort: () => relayPort,
    clientPort: () => lastClientPort,
    drop,
    async close() {
      drop()
      await new Promise((done) => server.close(done))
    }
  }
}

/** Returns a function that reads a number of bytes, and with `rest` stops reading. */
function reader(socket: Socket): ((count: number) => Promise<Uint8Array>) & { rest(): Buffer } {
  let held = Buffer.alloc(0)
  let wake = (): void => {}
  const onData = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk])
    wake()
  }
  socket.on('data', onData)
  const read = async (count: number): Promise<Uint8Array> => {
    while (held.length < count) {
      await new Promise<void>((resolve, reject) => {
        wake = resolve
        socket.once('close', () => reject(new Error('closed')))
      })
    }
    const bytes = held.subarray(0, count)
    held = held.subarray(count)
    return bytes
  }
  return Object.assign(read, {
    rest: (): Buffer => {
      socket.off('data', onData)
      return held
    }
  })
}
