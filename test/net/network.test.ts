import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { anywhere } from '../../lib/net/host-guard.ts'
import { Network, type NetworkOptions } from '../../lib/net/network.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { deferred } from '../../lib/util/concurrency.ts'

function networkOf(t: TestContext, options: NetworkOptions = {}): Network {
  const network = new Network(options)
  t.after(() => network.close())
  return network
}

async function listening(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A web server that answers with the address of the client. */
function webServer(t: TestContext, host?: string): Promise<number> {
  const server = createHttpServer((request, response) => {
    response.setHeader('connection', 'close')
    response.end(request.socket.remoteAddress)
  })
  return listening(t, server, host)
}

async function seenFrom({ http }: Network, url: string): Promise<string> {
  const { body } = await http.get(new URL(url), { guard: anywhere })
  return Buffer.from(body).toString()
}

/** Returns the address from which a network dials a listener. */
async function dialledFrom(
  t: TestContext,
  { tcp }: Network,
  host = '127.0.0.1'
): Promise<string | undefined> {
  const accepted = deferred<string | undefined>()
  const server = createServer((socket: Socket) => {
    accepted.resolve(socket.remoteAddress)
    socket.destroy()
  })
  const connection = await tcp.dial({ host, port: await listening(t, server) })
  connection.close()
  return accepted.promise
}

test('all connections leave from the host address', {
  skip: process.platform !== 'linux' && 'needs 127.0.0.2'
}, async (t) => {
  const network = networkOf(t, { host: '127.0.0.2' })
  assert.equal(await seenFrom(network, `http://127.0.0.1:${await webServer(t)}`), '127.0.0.2')
  assert.equal(await dialledFrom(t, network), '127.0.0.2')
  const heard = deferred<string>()
  const far = await bindUdpPort({ family: 4, host: '127.0.0.1' })
  t.after(() => far.close())
  far.claim({ matches: () => true, receive: (_, { host }) => heard.resolve(host) })
  const port = await network.udpPort(4)
  port.send(Uint8Array.of(1), { host: '127.0.0.1', port: far.port })
  assert.equal(await heard.promise, '127.0.0.2')
})

for (const host of ['::', '0:0::0', '0.0.0.0', undefined]) {
  test(`a network at ${host ?? 'every address'} reaches IPv4 hosts`, async (t) => {
    const network = networkOf(t, { host })
    assert.equal(await seenFrom(network, `http://127.0.0.1:${await webServer(t)}`), '127.0.0.1')
    assert.equal(await dialledFrom(t, network), '127.0.0.1')
  })
}

test('only those addresses of a name are tried that the host can reach', async (t) => {
  const lookup = async (name: string): Promise<string[]> => {
    assert.equal(name, 'both.example')
    return ['::1', '127.0.0.1']
  }
  const network = networkOf(t, { host: '127.0.0.1', lookup })
  assert.equal(await seenFrom(network, `http://both.example:${await webServer(t)}`), '127.0.0.1')
  assert.equal(await dialledFrom(t, network, 'both.example'), '127.0.0.1')
  const other = networkOf(t, { host: '127.0.0.1', lookup: async () => ['::1'] })
  await assert.rejects(other.tcp.dial({ host: 'six.example', port: 1 }), { code: 'ERR_TRANSPORT_DIAL' })
})

test('UDP has the port number of TCP, whichever protocol asks first', async (t) => {
  const network = networkOf(t, { host: '127.0.0.1' })
  assert.equal(network.port, 0)
  const listened = network.listen({ port: 0, onConnection: () => {} })
  const [port] = await Promise.all([network.udpPort(4), listened])
  assert.equal(port.port, network.port)
  assert.deepEqual(await listened, [port])
  assert.equal(await network.udpPort(4), port)
})

test('without a TCP port there is a warning, and nothing else fails', async (t) => {
  const warnings: Error[] = []
  const network = networkOf(t, { host: '192.0.2.1', onWarning: (warning) => warnings.push(warning) })
  assert.deepEqual(await network.listen({ port: 0, onConnection: () => {} }), [])
  assert.equal(network.port, 0)
  assert.equal(warnings.length, 1)
  assert.match(String(warnings[0]), /cannot listen on 192\.0\.2\.1/)
  await network.unlisten()
})

test('a requested UDP port is bound once, exactly, or refused', async (t) => {
  const network = networkOf(t, { host: '127.0.0.1' })
  const [first, again] = await Promise.all([network.udpPort(4), network.udpPort(4)])
  assert.equal(first, again)
  const other = networkOf(t, { host: '127.0.0.1' })
  await assert.rejects(other.bindUdp(first.port), { code: 'ERR_TRANSPORT_LISTEN' })
  const [free] = await other.bindUdp(0)
  assert.equal(await other.udpPort(4), free)
  await assert.rejects(other.udpPort(6), { code: 'ERR_TRANSPORT_LISTEN' })
})

test('close ends connections, requests and ports, including pending ones', async (t) => {
  const requested = deferred<void>()
  const silent = await listening(
    t,
    createHttpServer(() => requested.resolve())
  )
  const network = networkOf(t, { host: '127.0.0.1' })
  const [port] = await network.listen({ port: 0, onConnection: (connection) => connection.close() })
  const dialled = await network.tcp.dial({ host: '127.0.0.1', port: network.port })
  const ended = deferred<void>()
  dialled.start({ onReceive: () => true, onDrain: () => {}, onClose: () => ended.resolve() })
  const request = network.http.get(new URL(`http://127.0.0.1:${silent}`), { guard: anywhere })
  const refused = assert.rejects(request, { code: 'ERR_TRACKER_NETWORK' })
  await requested.promise
  const other = networkOf(t, { host: '127.0.0.1' })
  const late = other.listen({ port: 0, onConnection: () => {} })
  await Promise.all([network.close(), network.close(), other.close(), ended.promise, refused])
  const taken = [port, ...(await late)].map((one) => one?.port ?? 0)
  for (const number of taken)
    await (await bindUdpPort({ family: 4, host: '127.0.0.1', port: number })).close()
  await assert.rejects(network.udpPort(6), { code: 'ERR_TRANSPORT_LISTEN' })
  await assert.rejects(network.http.get(new URL(`http://127.0.0.1:${silent}`), { guard: anywhere }), /closed/)
  await assert.rejects(network.tcp.dial({ host: '127.0.0.1', port: silent }), { code: 'ERR_TRANSPORT_DIAL' })
  assert.deepEqual(await network.listen({ port: 0, onConnection: () => {} }), [])
})
