import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type DialRules, variantsOf } from '../../lib/discovery/dial-variant.ts'
import { hintsOf } from '../../lib/discovery/hints.ts'
import { Acceptor } from '../../lib/swarm/acceptor.ts'
import { Connector } from '../../lib/swarm/connector.ts'
import type { PeerConnection } from '../../lib/swarm/pending-handshakes.ts'
import { peerSniffer } from '../../lib/swarm/sniff-peer.ts'
import { refusesConnection } from '../../lib/transport/handling-account.ts'
import type { Encryption } from '../../lib/transport/mse/encryption.ts'
import { limits } from '../../lib/transport/mse/limits.ts'
import { nameOf } from '../../lib/transport/mse/secrets.ts'
import { equalBytes } from '../../lib/util/bytes.ts'
import { FakeConnection, handshakeOf, joinFarEnds, settled, twenty } from './fake-connection.ts'

const infoHash = twenty(1)
const [dialId, listenId] = [twenty(2), twenty(3)]

/** An acceptor of one torrent, whose connections are sniffed as those of a listening port are. */
function acceptorOf(t: TestContext, encryption: Encryption, hasTorrent = true) {
  const peers: PeerConnection[] = []
  const accept = (peer: PeerConnection): void => {
    peers.push(peer)
    peer.wire.handshake(infoHash, listenId)
  }
  const acceptor = new Acceptor({
    peerId: listenId,
    throttles: {},
    encryption,
    find: (hash) => (hasTorrent && equalBytes(hash, infoHash) ? { accept } : undefined),
    findNamed: (name) => (hasTorrent && equalBytes(name, nameOf(infoHash)) ? infoHash : undefined)
  })
  t.after(() => {
    acceptor.close()
    for (const { wire } of peers) wire.destroy()
  })
  return { acceptor, peers }
}

/** Dials an acceptor by the rules of one policy. Returns the variants in order, and the result. */
async function dial(t: TestContext, own: Encryption, theirs: Encryption, hasTorrent = true, flags = 0) {
  const { acceptor, peers } = acceptorOf(t, theirs, hasTorrent)
  const tried: string[] = []
  const hints = hintsOf(flags)
  const rules: DialRules = { encryption: own, transports: ['tcp'] }
  let result: PeerConnection | 'failed' | undefined
  const connector = new Connector(
    {
      infoHashes: { v1: infoHash },
      peerId: dialId,
      throttles: {},
      dial: async (_address, { encryption }) => {
        tried.push(encryption)
        const [near, far] = [new FakeConnection(false), new FakeConnection(true)]
        joinFarEnds(near, far)
        acceptor.accept(far)
        return near
      }
    },
    {
      wireOptions: () => ({}),
      isWanted: () => true,
      onRetry: () => true,
      onConnected: (_candidate, _variant, peer) => {
        result = peer
        t.after(() => peer.wire.destroy())
      },
      onSelf: () => assert.fail(),
      onPostponed: () => {},
      onFailed: () => {
        result = 'failed'
      }
    }
  )
  t.after(() => connector.close())
  const address = { host: '198.51.100.1', port: 6881 }
  connector.connect({ address, source: 'tracker', failures: 0, hints, variants: variantsOf(rules, hints) })
  while (result === undefined) await settled()
  const end = result === 'failed' ? 'failed' : result.connection.encryption
  return { tried, end, theirEnd: peers[0]?.connection.encryption }
}

const policies: readonly (readonly [Encryption, Encryption, string[], string])[] = [
  [false, false, ['plain'], 'none'],
  [false, 'allow', ['plain'], 'none'],
  [false, 'prefer', ['plain'], 'none'],
  [false, 'require', ['plain'], 'failed'],
  ['allow', false, ['plain'], 'none'],
  ['allow', 'allow', ['plain'], 'none'],
  ['allow', 'prefer', ['plain'], 'none'],
  ['allow', 'require', ['plain', 'mse'], 'rc4'],
  ['prefer', false, ['mse', 'plain'], 'none'],
  ['prefer', 'allow', ['mse'], 'handshake'],
  ['prefer', 'prefer', ['mse'], 'rc4'],
  ['prefer', 'require', ['mse'], 'rc4'],
  ['require', false, ['rc4'], 'failed'],
  ['require', 'allow', ['rc4'], 'rc4'],
  ['require', 'prefer', ['rc4'], 'rc4'],
  ['require', 'require', ['rc4'], 'rc4']
]

for (const [own, theirs, tried, end] of policies) {
  test(`a client with ${own} dials one with ${theirs}: ${tried.join(', ')}, then ${end}`, async (t) => {
    const dialled = await dial(t, own, theirs)
    assert.deepEqual(dialled.tried, tried)
    assert.equal(dialled.end, end)
    assert.equal(dialled.theirEnd, end === 'failed' ? undefined : end)
  })
}

test('a peer that prefers encryption is dialled encrypted first', async (t) => {
  const { tried, end } = await dial(t, 'allow', 'prefer', true, 0x01)
  assert.deepEqual(tried, ['mse'])
  assert.equal(end, 'rc4')
})

test('a peer without the torrent is dialled once more, by the offer that some programs insist on', async (t) => {
  const { tried, end } = await dial(t, 'prefer', 'prefer', false)
  assert.deepEqual(tried, ['mse', 'rc4'])
  assert.equal(end, 'failed')
})

test('key exchanges above the limit wait, and a connection that closes leaves the queue', async (t) => {
  // A whole number, so that intervals of 10 ms add up exactly.
  let now = Math.ceil(performance.now())
  t.mock.method(performance, 'now', () => now)
  const { acceptor } = acceptorOf(t, 'allow')
  const key = Buffer.alloc(96, 5)
  const connections = Array.from({ length: limits.exchangeBurst + 3 }, () => {
    const connection = new FakeConnection(true)
    acceptor.accept(connection)
    connection.feed(key)
    return connection
  })
  const answered = (): number => connections.filter(({ sent }) => sent.length >= 96).length
  assert.equal(answered(), limits.exchangeBurst)
  connections[limits.exchangeBurst]?.close()
  while (answered() < limits.exchangeBurst + 2) {
    now += 10
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  assert.equal(connections[limits.exchangeBurst]?.sent.length, 0)
})

test('the key exchanges of a host count against it', (t) => {
  const { acceptor } = acceptorOf(t, 'allow')
  const host = '203.0.113.9'
  for (let n = 0; n < 2000 && !refusesConnection(host); n++) {
    const connection = new FakeConnection(true, host)
    acceptor.accept(connection)
    connection.feed(Buffer.alloc(96, 5))
  }
  assert.equal(refusesConnection(host), true)
})

for (const [encryption, what, head, verdict] of [
  ['allow', 'a handshake', handshakeOf(infoHash, dialId), 'take'],
  ['allow', 'half a handshake', handshakeOf(infoHash, dialId).subarray(0, 30), 'wait'],
  ['allow', 'half a public key', Buffer.alloc(95, 1), 'wait'],
  ['allow', 'a public key', Buffer.alloc(96, 1), 'take'],
  [
    'allow',
    'a public key that begins with 19',
    Buffer.concat([Buffer.from([19]), Buffer.alloc(95, 1)]),
    'take'
  ],
  ['require', 'the first bytes of a handshake', handshakeOf(infoHash, dialId).subarray(0, 19), 'wait'],
  ['require', 'a handshake', handshakeOf(infoHash, dialId).subarray(0, 20), 'refuse'],
  ['require', 'a public key', Buffer.alloc(96, 1), 'take'],
  [false, 'a public key', Buffer.alloc(96, 1), 'refuse']
] as const) {
  test(`the first bytes of a connection, with encryption ${encryption}: ${verdict} for ${what}`, () => {
    assert.equal(peerSniffer(encryption)(head), verdict)
  })
}
