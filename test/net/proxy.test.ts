import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Connection } from '../../lib/net/connection.ts'
import type { DatagramPort } from '../../lib/net/datagram-port.ts'
import { anywhere } from '../../lib/net/host-guard.ts'
import { Network } from '../../lib/net/network.ts'
import { readProxy } from '../../lib/net/proxy-server.ts'
import { encodeSocksHeader } from '../../lib/net/socks-datagram.ts'
import { UdpTrackerClient } from '../../lib/tracker/udp-tracker-client.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { regularAnnounce } from '../support/announce-parameters.ts'
import { until } from '../support/until.ts'
import { politely, udpTracker } from '../tracker/udp-server.ts'
import { type SocksServer, type SocksServerOptions, startSocks } from './socks-server.ts'

interface Bench {
  readonly network: Network
  readonly socks: SocksServer
  readonly warnings: readonly Error[]
  /** Host names that were looked up here. */
  readonly lookedUp: readonly string[]
}

async function bench(
  t: TestContext,
  options: SocksServerOptions = {},
  urlOf = (port: number): string => `socks5://127.0.0.1:${port}`
): Promise<Bench> {
  const socks = await startSocks(options)
  t.after(() => socks.close())
  return { ...networkOf(t, urlOf(socks.port)), socks }
}

function networkOf(t: TestContext, url: string): Omit<Bench, 'socks'> {
  const warnings: Error[] = []
  const lookedUp: string[] = []
  const network = new Network({
    proxy: readProxy(url, RangeError),
    onWarning: (warning) => warnings.push(warning),
    lookup: async (host) => {
      lookedUp.push(host)
      return ['127.0.0.1']
    }
  })
  t.after(() => network.close())
  return { network, warnings, lookedUp }
}

async function listening(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

function echoServer(t: TestContext): Promise<number> {
  return listening(
    t,
    createServer((socket) => {
      socket.on('error', () => {})
      socket.pipe(socket)
    })
  )
}

/** A UDP socket that returns what it gets. */
async function udpEcho(t: TestContext): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.after(() => socket.close())
  return socket.address().port
}

/** Sends a text and resolves to all that comes back until that many bytes are there. */
function exchange(connection: Connection, text: string, length: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let got = ''
    connection.start({
      onReceive: (chunk) => {
        got += Buffer.from(chunk).toString()
        if (got.length >= length) resolve(got)
        return true
      },
      onDrain: () => {},
      onClose: (error) => reject(error ?? new Error(`closed after '${got}'`))
    })
    connection.write([Buffer.from(text)])
  })
}

function ask(
  port: DatagramPort,
  text: string,
  to: PeerAddress
): Promise<{ text: string; from: PeerAddress }> {
  return new Promise((resolve, reject) => {
    const release = port.claim({
      matches: () => true,
      receive: (message, from) => {
        release()
        resolve({ text: Buffer.from(message).toString(), from })
      }
    })
    port.send(Buffer.from(text), to, (error) => {
      release()
      reject(error)
    })
  })
}

test('connections go through the proxy, and names are resolved there', async (t) => {
  const { network, socks, lookedUp } = await bench(
    t,
    { login: 'me:pw' },
    (port) => `socks5h://me:pw@127.0.0.1:${port}`
  )
  const port = await echoServer(t)
  for (const host of ['127.0.0.1', 'peer.example']) {
    const connection = await network.tcp.dial({ host, port })
    assert.deepEqual(connection.remote, { host, port })
    assert.equal(await exchange(connection, 'hello', 5), 'hello')
    connection.close()
  }
  assert.deepEqual(socks.asked, [`127.0.0.1:${port}`, `peer.example:${port}`])
  assert.deepEqual(lookedUp, [])
})

test('bytes that come with the answer of the proxy are delivered first', async (t) => {
  const { network } = await bench(t, { rest: 'early ' })
  const connection = await network.tcp.dial({ host: '127.0.0.1', port: await echoServer(t) })
  assert.equal(await exchange(connection, 'late', 10), 'early late')
})

test('HTTP requests go through the proxy, and a name of a local network is refused', async (t) => {
  const { network, socks, lookedUp } = await bench(t)
  const server = createHttpServer((request, response) => response.end(request.headers.host))
  const port = await listening(t, server)
  const { body, scope } = await network.http.get(new URL(`http://site.example:${port}/`))
  assert.equal(Buffer.from(body).toString(), `site.example:${port}`)
  // The address of the connection is the proxy's, which is on loopback.
  assert.equal(scope, 'global')
  assert.deepEqual(socks.asked, [`site.example:${port}`])
  for (const host of ['localhost', 'router', 'nas.local', '127.0.0.1', '10.0.0.1'])
    await assert.rejects(network.http.get(new URL(`http://${host}/`)), { code: 'ERR_TRACKER_URL' })
  await network.http.get(new URL(`http://127.0.0.1:${port}/`), { guard: anywhere })
  assert.equal(socks.asked.length, 2)
  assert.deepEqual(lookedUp, [])
})

const failures: Readonly<Record<string, (t: TestContext) => Promise<Omit<Bench, 'socks'>>>> = {
  'a wrong password': async (t) =>
    bench(t, { login: 'me:pw' }, (port) => `socks5://me:bad@127.0.0.1:${port}`),
  'no password': async (t) => bench(t, { login: 'me:pw' }),
  'no proxy there': async (t) => {
    const socks = await startSocks()
    await socks.close()
    return networkOf(t, `socks5://127.0.0.1:${socks.port}`)
  },
  'another protocol there': async (t) => networkOf(t, `socks5://127.0.0.1:${await echoServer(t)}`),
  'a proxy that refuses everything': async (t) => bench(t, { reply: () => 2 })
}

for (const [what, open] of Object.entries(failures)) {
  test(`nothing goes around the proxy: ${what}`, async (t) => {
    const { network, warnings, lookedUp } = await open(t)
    let reached = 0
    const port = await listening(
      t,
      createServer((socket) => {
        reached++
        socket.destroy()
      })
    )
    const udp = createSocket('udp4')
    udp.on('message', () => reached++)
    udp.bind(port, '127.0.0.1')
    await once(udp, 'listening')
    t.after(() => udp.close())
    for (const host of ['127.0.0.1', 'peer.example']) {
      await assert.rejects(network.tcp.dial({ host, port }), { code: 'ERR_TRANSPORT_PROXY' })
      await assert.rejects(network.http.get(new URL(`http://${host}:${port}/`), { guard: anywhere }), {
        code: 'ERR_TRACKER_NETWORK'
      })
      await assert.rejects(ask(await network.udpPort(4), 'x', { host, port }), {
        code: 'ERR_TRANSPORT_PROXY'
      })
      await assert.rejects(network.lookup(host), { code: 'ERR_TRANSPORT_PROXY' })
    }
    assert.deepEqual(
      await network.multicast({
        family: 4,
        group: '239.192.152.143',
        port: 6771,
        accepts: () => true,
        onMessage: () => {}
      }),
      undefined
    )
    assert.equal(reached, 0)
    assert.deepEqual(lookedUp, [])
    // One for connections and one for UDP.
    assert.ok(warnings.length >= 1 && warnings.length <= 2, warnings.map(String).join('\n'))
    for (const { message } of warnings) assert.doesNotMatch(message, /bad|pw/)
  })
}

test('a failed proxy is tried again, and works as soon as it is there', async (t) => {
  const first = await startSocks()
  const { port } = first
  await first.close()
  const { network, warnings } = networkOf(t, `socks5://127.0.0.1:${port}`)
  const to = { host: '127.0.0.1', port: await echoServer(t) }
  // Dials that fail together are one outage.
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => network.tcp.dial(to)))
  assert.ok(results.every(({ status }) => status === 'rejected'))
  assert.equal(warnings.length, 1)
  const socks = await startSocks({ port })
  t.after(() => socks.close())
  let connection: Connection | undefined
  await until('the proxy to be tried again', async () => {
    connection ??= await network.tcp.dial(to).catch(() => undefined)
    return connection
  })
  assert.equal(warnings.length, 1)
})

test('a target that the proxy cannot reach is no failure of the proxy', async (t) => {
  const { network, warnings } = await bench(t, {
    reply: ({ port }) => (port === 1 ? 4 : port === 2 ? undefined : 0)
  })
  const host = '127.0.0.1'
  await assert.rejects(network.tcp.dial({ host, port: 1 }), { code: 'ERR_TRANSPORT_DIAL' })
  await assert.rejects(network.tcp.dial({ host, port: 2 }, { timeoutMs: 1000 }), {
    code: 'ERR_TRANSPORT_TIMEOUT'
  })
  await network.tcp.dial({ host, port: await echoServer(t) })
  assert.deepEqual(warnings, [])
})

test('a dial through a proxy can be aborted', async (t) => {
  const { network } = await bench(t, { reply: () => undefined })
  const reason = new Error('enough')
  const dial = network.tcp.dial({ host: '127.0.0.1', port: 1 }, { signal: AbortSignal.timeout(20) })
  await assert.rejects(dial, { name: 'TimeoutError' })
  const before = network.tcp.dial({ host: '127.0.0.1', port: 1 }, { signal: AbortSignal.abort(reason) })
  await assert.rejects(before, reason)
})

test('the network neither listens nor tells a port', async (t) => {
  const { network } = await bench(t)
  const ports = await network.listen({ port: 0, onConnection: () => assert.fail('a connection') })
  assert.equal(network.port, 0)
  assert.deepEqual(
    ports.map(({ family, port }) => [family, port]),
    [
      [4, 0],
      [6, 0]
    ]
  )
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((name) => /^UDP/.test(name)),
    []
  )
})

test('datagrams go through the relay, to addresses and names', async (t) => {
  const { network, socks, lookedUp } = await bench(t)
  const port = await udpEcho(t)
  const udp = await network.udpPort(4)
  for (const host of ['127.0.0.1', 'node.example'])
    assert.deepEqual(await ask(udp, 'ping', { host, port }), {
      text: 'ping',
      from: { host: '127.0.0.1', port }
    })
  assert.deepEqual(socks.asked, [`udp 127.0.0.1:${port}`, `udp node.example:${port}`])
  assert.deepEqual(lookedUp, [])
})

test('datagrams that do not come from the relay are dropped', async (t) => {
  const { network, socks } = await bench(t)
  const port = await udpEcho(t)
  const udp = await network.udpPort(4)
  await ask(udp, 'ping', { host: '127.0.0.1', port })
  const heard: string[] = []
  udp.claim({ matches: () => true, receive: (message) => heard.push(Buffer.from(message).toString()) })
  const other = createSocket('udp4')
  t.after(() => other.close())
  const forged = Uint8Array.of(...(encodeSocksHeader({ host: '127.0.0.1', port }) ?? []), 0x21)
  await new Promise((resolve) => other.send(forged, socks.clientPort(), '127.0.0.1', resolve))
  udp.send(Buffer.from('end'), { host: '127.0.0.1', port })
  await until('the next answer', () => heard.length > 0)
  assert.deepEqual(heard, ['end'])
})

test('the socket is closed when the relay is lost, and a new relay is opened for later datagrams', async (t) => {
  const { network, socks, warnings } = await bench(t)
  const port = await udpEcho(t)
  const to = { host: '127.0.0.1', port }
  const udp = await network.udpPort(4)
  await ask(udp, 'one', to)
  const before = socks.relayPort()
  socks.drop()
  await until('the loss to be noticed', () => warnings.length > 0)
  await assert.rejects(ask(udp, 'two', to), { code: 'ERR_TRANSPORT_PROXY' })
  await until(
    'a new relay',
    async () => (await ask(udp, 'three', to).catch(() => undefined))?.text === 'three',
    {
      is: Boolean
    }
  )
  assert.notEqual(socks.relayPort(), before)
  assert.equal(warnings.length, 1)
  assert.equal(socks.asked.length, 2)
})

test('a relay with an unusable address is expected at the proxy', async (t) => {
  for (const relayHost of ['0.0.0.0', 'relay.example']) {
    const { network } = await bench(t, { relayHost })
    const port = await udpEcho(t)
    const { text } = await ask(await network.udpPort(4), 'ping', { host: '127.0.0.1', port })
    assert.equal(text, 'ping')
  }
})

test('UDP trackers are announced to by name, and answer from any address', async (t) => {
  const { network, socks, lookedUp } = await bench(t, {
    // Some relays name the sender as it was asked for, others by an address of their own.
    datagram: (datagram) => Uint8Array.of(0, 0, 0, 1, 198, 51, 100, 9, 0, 9, ...datagram.subarray(10))
  })
  await using tracker = await udpTracker(politely)
  const client = new UdpTrackerClient({ network } as never)
  t.after(() => client.close())
  const { port } = new URL(tracker.url)
  const reply = await client.announce(new URL(`udp://tracker.lan:${port}/`), regularAnnounce)
  assert.ok(reply.peers.length > 0)
  assert.deepEqual(new Set(socks.asked), new Set([`udp tracker.lan:${port}`]))
  assert.deepEqual(lookedUp, [])
})

test('a proxy without UDP refuses it', async (t) => {
  const { network } = networkOf(t, 'http://127.0.0.1:1')
  assert.equal(network.carriesUdp, false)
  assert.deepEqual(await network.listen({ port: 0, onConnection: () => {} }), [])
  await assert.rejects(network.udpPort(4), { code: 'ERR_TRANSPORT_PROXY' })
})
