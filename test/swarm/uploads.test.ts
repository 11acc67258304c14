import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { ReadCache } from '../../lib/storage/read-cache.ts'
import type { Peer } from '../../lib/swarm/peer.ts'
import { Uploads } from '../../lib/swarm/uploads.ts'
import { Meter } from '../../lib/util/meter.ts'

test('a peer that changes its mind all the time is followed now and then, and at last', (t) => {
  const sent: string[] = []
  const wire = Object.assign(new EventEmitter(), {
    peerInterested: false,
    peerFast: false,
    choke: () => sent.push('choke'),
    unchoke: () => sent.push('unchoke')
  })
  const peer = { id: 1, wire, uploadOnly: false, down: new Meter(), up: new Meter() } as unknown as Peer
  const layout = new Layout(32768, [])
  const uploads = new Uploads(
    new Uint8Array(20),
    layout,
    { setReaders: () => {} } as unknown as ReadCache,
    Number.POSITIVE_INFINITY,
    {
      peer: () => peer,
      serves: () => true,
      grants: () => false,
      sent: () => {},
      unreadable: () => {}
    }
  )
  const heard = t.mock.method(uploads.choker, 'interested')
  uploads.addPeer(peer)
  const turn = (): void => {
    wire.peerInterested = !wire.peerInterested
    wire.emit(wire.peerInterested ? 'interested' : 'not-interested')
  }
  turn()
  assert.deepEqual(sent, ['unchoke'], 'at once')
  for (let n = 0; n < 10_000; n++) turn()
  assert.ok(heard.mock.callCount() < 100, `${heard.mock.callCount()} times`)
  assert.equal(wire.peerInterested, true)
  uploads.reconsider()
  assert.equal(uploads.choker.wanted, true, 'a second later')
  turn()
  assert.equal(uploads.choker.wanted, false)
})
