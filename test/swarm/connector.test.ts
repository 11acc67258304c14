import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Candidate } from '../../lib/discovery/address-book.ts'
import type { DialVariant } from '../../lib/discovery/dial-variant.ts'
import { hintsOf } from '../../lib/discovery/hints.ts'
import type { Connection } from '../../lib/net/connection.ts'
import { Connector, type ConnectorOptions } from '../../lib/swarm/connector.ts'
import { Throttle } from '../../lib/transport/throttle.ts'
import { abortable } from '../../lib/util/concurrency.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { FakeConnection, handshakeOf, settled, twenty } from './fake-connection.ts'

const infoHash = twenty(1)
const peerId = twenty(2)
const ownId = twenty(3)
const address = { host: '198.51.100.1', port: 6881 }

/** Variants by name, including future ones. */
function variantsOf(names: readonly string[]): DialVariant[] {
  return names.map((name) => {
    const [transport, encryption] = name.split(' ')
    return { transport, encryption } as unknown as DialVariant
  })
}

function nameOf({ transport, encryption }: DialVariant): string {
  return `${transport} ${encryption}`
}

/** The far end's reaction to a dial. */
type Answer = (connection: FakeConnection) => unknown

const refuses: Answer = () => Promise.reject(new TorrentError('ERR_TRANSPORT_DIAL', 'nothing listens there'))
const proxyFails: Answer = () => Promise.reject(new TorrentError('ERR_TRANSPORT_PROXY', 'the proxy failed'))
const isSilent: Answer = () => {}
const ends: Answer = (connection) => setImmediate(() => connection.close())
const resets: Answer = (connection) => setImmediate(() => connection.close(new Error('ECONNRESET')))
const answers: Answer = (connection) => setImmediate(() => connection.feed(handshakeOf(infoHash, peerId)))
const endsInHandshake: Answer = (connection) =>
  setImmediate(() => {
    connection.feed(handshakeOf(infoHash, peerId).subarray(0, 1))
    connection.close()
  })
const speaksOtherwise: Answer = (connection) =>
  setImmediate(() => connection.feed(Buffer.from('HTTP/1.1 400')))
const answersForAnother: Answer = (connection) =>
  setImmediate(() => connection.feed(handshakeOf(twenty(9), peerId)))
const isSelf: Answer = (connection) => setImmediate(() => connection.feed(handshakeOf(infoHash, ownId)))

/** Connects to an address that answers each variant as given. Returns the dials and results in order. */
function connectorOf(
  t: TestContext,
  dials: Readonly<Record<string, Answer>>,
  options: Partial<ConnectorOptions & { isWanted: boolean }> = {}
) {
  const told: string[] = []
  const connections: FakeConnection[] = []
  let onEnd = (): void => {}
  const ended = new Promise<void>((resolve) => {
    onEnd = resolve
  })
  const tell = (what: string): void => {
    told.push(what)
    onEnd()
  }
  const connector = new Connector(
    {
      infoHashes: { v1: infoHash },
      peerId: ownId,
      throttles: {},
      timeoutMs: 20_000,
      dial: async (_address, variant, signal): Promise<Connection> => {
        told.push(nameOf(variant))
        const connection = new FakeConnection(false)
        connections.push(connection)
        await abortable(Promise.resolve(dials[nameOf(variant)]?.(connection)), signal)
        return connection
      },
      ...options
    },
    {
      wireOptions: () => ({}),
      isWanted: () => options.isWanted ?? true,
      onRetry: () => told.push('retry') > 0,
      onConnected: (_candidate, variant, peer) => {
        t.after(() => peer.wire.destroy())
        assert.deepEqual(peer.peerId, peerId)
        assert.ok((peer.latencyMs ?? -1) >= 0)
        tell(`connected by ${nameOf(variant)}`)
      },
      onSelf: () => tell('self'),
      onFailed: () => tell('failed'),
      onPostponed: () => tell('postponed')
    }
  )
  t.after(() => connector.close())
  const variants = variantsOf(Object.keys(dials))
  const candidate: Candidate = { address, source: 'tracker', failures: 0, hints: hintsOf(0), variants }
  connector.connect(candidate)
  return { connector, connections, told, ended }
}

const rows: readonly (readonly [string, Readonly<Record<string, Answer>>, readonly string[]])[] = [
  [
    'the first variant does',
    { 'tcp plain': answers, 'tcp mse': answers },
    ['tcp plain', 'connected by tcp plain']
  ],
  [
    'the peer ends the first before it has said anything',
    { 'tcp plain': ends, 'utp plain': answers },
    ['tcp plain', 'retry', 'utp plain', 'connected by utp plain']
  ],
  [
    'the peer resets the first',
    { 'tcp plain': resets, 'utp plain': answers },
    ['tcp plain', 'retry', 'utp plain', 'connected by utp plain']
  ],
  [
    'the first transport does not reach it',
    { 'utp mse': refuses, 'tcp plain': answers },
    ['utp mse', 'retry', 'tcp plain', 'connected by tcp plain']
  ],
  [
    'one transport does not reach it, and that is not tried again',
    { 'utp mse': refuses, 'utp plain': answers, 'tcp plain': answers },
    ['utp mse', 'retry', 'tcp plain', 'connected by tcp plain']
  ],
  [
    'the only transport does not reach it',
    { 'tcp plain': refuses, 'tcp mse': answers },
    ['tcp plain', 'failed']
  ],
  [
    'all variants are ended',
    { 'tcp plain': ends, 'tcp mse': ends },
    ['tcp plain', 'retry', 'tcp mse', 'failed']
  ],
  [
    'the peer ends in the middle of its handshake',
    { 'tcp plain': endsInHandshake, 'tcp mse': answers },
    ['tcp plain', 'failed']
  ],
  [
    'the peer speaks another protocol',
    { 'tcp plain': speaksOtherwise, 'tcp mse': answers },
    ['tcp plain', 'failed']
  ],
  [
    'the peer answers for another torrent',
    { 'tcp plain': answersForAnother, 'tcp mse': answers },
    ['tcp plain', 'failed']
  ],
  ['the peer is this client', { 'tcp plain': isSelf, 'tcp mse': answers }, ['tcp plain', 'self']],
  [
    'the proxy fails, for which it is not at fault',
    { 'tcp plain': proxyFails, 'utp plain': answers },
    ['tcp plain', 'postponed']
  ],
  ['there is no variant', {}, ['failed']]
]

for (const [what, dials, expected] of rows) {
  test(`a candidate is dialled by one variant after the other: ${what}`, async (t) => {
    const { told, ended } = connectorOf(t, dials)
    await ended
    await settled()
    assert.deepEqual(told, expected)
  })
}

test('a silent peer is abandoned at its time limit, and not dialled by another variant', async (t) => {
  const { told, connections } = connectorOf(
    t,
    { 'tcp plain': isSilent, 'tcp mse': answers },
    { timeoutMs: 20 }
  )
  while (!told.includes('failed')) await settled()
  assert.deepEqual(told, ['tcp plain', 'failed'])
  const error = connections[0]?.closed?.error
  assert.ok(error instanceof TorrentError && error.code === 'ERR_TRANSPORT_TIMEOUT')
})

test('a peer that has answered in time has no time limit here', async (t) => {
  const { ended, connections } = connectorOf(t, { 'tcp plain': answers }, { timeoutMs: 200 })
  await ended
  const silent = connectorOf(t, { 'tcp plain': isSilent }, { timeoutMs: 200 })
  while (!silent.told.includes('failed')) await settled()
  assert.equal(connections[0]?.closed, undefined)
})

test('our handshake is the first thing sent', async (t) => {
  const { ended, connections } = connectorOf(t, { 'tcp plain': answers })
  await ended
  const sent = connections[0]?.sent ?? Buffer.alloc(0)
  assert.deepEqual(sent.subarray(28), Buffer.concat([infoHash, ownId]))
})

test('a candidate no longer wanted once connected gets no bytes', async (t) => {
  const { told, ended, connections } = connectorOf(
    t,
    { 'tcp plain': answers, 'tcp mse': answers },
    { isWanted: false }
  )
  await ended
  assert.deepEqual(told, ['tcp plain', 'failed'])
  assert.ok(connections[0]?.closed)
  assert.equal(connections[0]?.started, false)
})

for (const [what, dials] of [
  ['while it is dialled', { 'tcp plain': () => new Promise(() => {}), 'utp plain': answers }],
  ['while its handshake is waited for', { 'tcp plain': isSilent, 'tcp mse': answers }]
] as const) {
  test(`close abandons a candidate ${what}`, async (t) => {
    const { connector, told, ended } = connectorOf(t, dials)
    await settled()
    connector.close()
    await ended
    assert.deepEqual(told, ['tcp plain', 'failed'])
  })
}

test('limits count all bytes of a dialled connection', async (t) => {
  const upload = new Throttle(1e6)
  const taken = t.mock.method(upload, 'take', (bytes: number) => bytes)
  const { ended } = connectorOf(t, { 'tcp plain': answers }, { throttles: { upload } })
  await ended
  assert.equal(taken.mock.calls[0]?.arguments[0], 68)
})
