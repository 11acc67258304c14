import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { Layout } from '../../lib/metainfo/layout.ts'
import type { ReadCache } from '../../lib/storage/read-cache.ts'
import type { Peer } from '../../lib/swarm/peer.ts'
import { ServingTorrents } from '../../lib/swarm/serving-torrents.ts'
import { Uploads } from '../../lib/swarm/uploads.ts'
import { Meter } from '../../lib/util/meter.ts'

/** A peer without a connection that reports whether it is interested. */
function peerOf(id: number) {
  const sent: string[] = []
  const wire = Object.assign(new EventEmitter(), {
    peerInterested: false,
    peerFast: false,
    blockBytesSent: 0,
    choke: () => sent.push('choke'),
    unchoke: () => sent.push('unchoke')
  })
  const peer = { id, wire, uploadOnly: false, down: new Meter(), up: new Meter() }
  const setInterested = (interested: boolean): void => {
    wire.peerInterested = interested
    wire.emit(interested ? 'interested' : 'not-interested')
  }
  return { peer: peer as unknown as Peer & { uploadOnly: boolean }, wire, sent, setInterested }
}

/** Uploads of a torrent of one piece to these peers. */
function uploadsTo(peers: readonly Peer[], serving = new ServingTorrents(), serves = true): Uploads {
  const cache = { setReaders: () => {} } as unknown as ReadCache
  const layout = new Layout(32768, [])
  return new Uploads(new Uint8Array(20), layout, cache, Number.POSITIVE_INFINITY, serving, {
    peers: new Map(peers.map((peer) => [peer.id, peer])),
    serves: () => serves,
    grants: () => false,
    sent: () => {},
    unreadable: () => {}
  })
}

test('a peer that toggles its interest is followed at intervals, and at last', (t) => {
  const { peer, wire, sent, setInterested } = peerOf(1)
  const uploads = uploadsTo([peer])
  const heard = t.mock.method(uploads.choker, 'interested')
  uploads.addPeer(peer)
  const turn = (): void => setInterested(!wire.peerInterested)
  turn()
  assert.deepEqual(sent, ['unchoke'], 'at once')
  for (let n = 0; n < 10_000; n++) turn()
  assert.ok(heard.mock.callCount() < 100, `${heard.mock.callCount()} times`)
  assert.equal(wire.peerInterested, true)
  uploads.reconsider()
  assert.equal(uploads.choker.hasInterested, true, 'a second later')
  turn()
  assert.equal(uploads.choker.hasInterested, false)
})

test('a torrent counts as serving while a downloading peer wants one of its pieces', () => {
  const serving = new ServingTorrents()
  const [first, second] = [peerOf(1), peerOf(2)]
  const uploads = uploadsTo([first.peer, second.peer], serving)
  const other = peerOf(1)
  const others = uploadsTo([other.peer], serving)
  const steps: readonly (readonly [string, () => void, number])[] = [
    ['peers come', () => void [first, second].map(({ peer }) => uploads.addPeer(peer)), 0],
    ['one is interested', () => first.setInterested(true), 1],
    ['another one is', () => second.setInterested(true), 1],
    ['the first is no longer', () => first.setInterested(false), 1],
    [
      'the other will only upload',
      () => {
        second.peer.uploadOnly = true
        uploads.setUploadOnly(second.peer)
      },
      0
    ],
    [
      'and downloads after all',
      () => {
        second.peer.uploadOnly = false
        uploads.setUploadOnly(second.peer)
      },
      1
    ],
    ['a peer of another torrent comes', () => others.addPeer(other.peer), 1],
    ['and is interested', () => other.setInterested(true), 2],
    ['it goes', () => others.removePeer(other.peer), 1],
    ['it goes again', () => others.removePeer(other.peer), 1],
    ['one that wants nothing goes', () => uploads.removePeer(first.peer), 1],
    ['the last one goes', () => uploads.removePeer(second.peer), 0]
  ]
  for (const [what, run, count] of steps) {
    run()
    assert.equal(serving.count, count, what)
  }
})

test('requests for unserved pieces are rejected at once up to a bound, and the rest a second later', () => {
  const { peer, wire } = peerOf(1)
  const [rejected, waiting]: number[][] = [[], []]
  Object.assign(wire, {
    oldestRequest: undefined,
    reject: (piece: number) => rejected?.push(piece),
    putOff: (piece: number) => waiting?.push(piece),
    putBack: () => waiting?.splice(0).map((piece) => ({ piece, offset: 0, length: 16384 })) ?? []
  })
  const uploads = uploadsTo([peer], undefined, false)
  uploads.addPeer(peer)
  for (let piece = 0; piece < 500; piece++) wire.emit('request', piece, 0, 16384)
  assert.deepEqual([rejected?.length, waiting?.length], [64, 436])
  uploads.reconsider()
  assert.deepEqual(rejected, [...Array(500).keys()])
})
