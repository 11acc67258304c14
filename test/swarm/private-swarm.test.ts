import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConnectionBudget } from '../../lib/discovery/connection-budget.ts'
import { OwnAddress } from '../../lib/discovery/own-address.ts'
import type { Connection } from '../../lib/net/connection.ts'
import { MetadataExchange } from '../../lib/swarm/metadata-exchange.ts'
import { MetadataMemory } from '../../lib/swarm/metadata-memory.ts'
import { Swarm } from '../../lib/swarm/swarm.ts'
import type { SwarmHost } from '../../lib/swarm/swarm-host.ts'
import { RunState } from '../../lib/torrent/run-state.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import { AsyncQueue } from '../../lib/util/async-queue.ts'
import { FakeConnection, handshakeOf, settled, twenty } from './fake-connection.ts'

test('peers from sources that a private torrent forbids are disconnected once it turns out private', async (t) => {
  const neighbours = new AsyncQueue<PeerAddress>(4)
  const connections = new Map<string, FakeConnection>()
  const host = {
    peerId: twenty(9),
    port: 1,
    connections: new ConnectionBudget(),
    own: new OwnAddress(() => 1),
    pex: false,
    lsd: { peers: () => neighbours },
    uploadLimit: Number.POSITIVE_INFINITY,
    throttles: {},
    dial: async (address: PeerAddress): Promise<Connection> => {
      const connection = new FakeConnection(false, address.host)
      connections.set(address.host, connection)
      const id = twenty(Number(address.host.split('.').at(-1)))
      setImmediate(() => connection.feed(handshakeOf(twenty(1), id)))
      return connection
    }
  } as unknown as SwarmHost
  const swarm = new Swarm({
    infoHashes: { v1: twenty(1) },
    host,
    state: new RunState(false, undefined),
    metadata: {
      known: false,
      exchange: new MetadataExchange({ v1: twenty(1) }, new MetadataMemory(), () => {}),
      close: () => {}
    },
    counters: () => ({ uploaded: 0, downloaded: 0, left: 1 }),
    onPeer: () => {},
    onChokeRound: () => {},
    wantAgain: () => {},
    onWarning: assert.ifError
  })
  t.after(() => swarm.close())
  swarm.sources.start([])
  neighbours.push({ host: '192.168.77.2', port: 1 })
  swarm.sources.addPeers([{ host: '192.168.77.3', port: 1 }], 'program')
  while (swarm.manager.peers.size < 2) await settled()
  swarm.makePrivate()
  await settled()
  assert.ok(connections.get('192.168.77.2')?.closed)
  assert.equal(connections.get('192.168.77.3')?.closed, undefined)
  assert.deepEqual(
    [...swarm.manager.peers.values()].map(({ source }) => source),
    ['manual']
  )
})
