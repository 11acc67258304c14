import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type RequestFacts, whyNotRequesting } from '../../lib/torrent/not-requesting.ts'

const peer = { peerChoking: false, amInterested: true, snubbed: false }
/** A torrent that could request blocks of one peer. */
const facts: RequestFacts = {
  status: 'downloading',
  why: 'Something is missing.',
  wanted: 3,
  unchecked: 0,
  outstanding: 0,
  isSelected: true,
  isLimited: false,
  peers: [peer],
  candidates: 0,
  isMemoryShort: false,
  isStorageBehind: false,
  queuedWrites: 0
}

const choking = { ...peer, peerChoking: true }
const rows: readonly (readonly [name: string, change: Partial<RequestFacts>, expected: readonly string[]])[] =
  [
    ['requests are outstanding', { outstanding: 1, peers: [choking], isLimited: true }, []],
    ['paused', { status: 'paused', why: 'The torrent is paused.' }, ['The torrent is paused.']],
    ['no address is known', { peers: [] }, ['No peer is connected; no address is known.']],
    ['addresses wait', { peers: [], candidates: 2 }, ['No peer is connected; 2 addresses to dial.']],
    ['the only peer chokes us', { peers: [choking] }, ['The only connected peer chokes us.']],
    ['all peers choke us', { peers: [choking, choking] }, ['All 2 connected peers choke us.']],
    [
      'peers that have something choke us',
      { peers: [choking, { ...peer, amInterested: false }] },
      ['All peers that have wanted pieces choke us.']
    ],
    [
      'peers have nothing of use',
      { peers: [{ ...peer, amInterested: false }] },
      ['No connected peer has a piece that is wanted.']
    ],
    [
      'peers are snubbed',
      { peers: [{ ...peer, snubbed: true }] },
      ['Peers that do not choke us are snubbed: they have not sent requested blocks for too long.']
    ],
    [
      'peers refuse',
      {},
      ['Peers have rejected requests for the wanted pieces, or requests are about to be sent.']
    ],
    [
      'memory is short',
      { isMemoryShort: true },
      ['Memory is short: other pieces or torrents use up the budget (memoryLimit).']
    ],
    [
      'memory waits for storage',
      { isMemoryShort: true, queuedWrites: 1 },
      ['Storage is behind: 1 piece to write, and memory is short until then.']
    ],
    [
      'storage is behind',
      { isStorageBehind: true, queuedWrites: 9 },
      ['Storage is behind: 9 pieces to write.']
    ],
    [
      'nothing is selected',
      { status: 'idle', wanted: 0, isSelected: false },
      ['Nothing is selected, and no open stream needs missing bytes.']
    ],
    ['everything is here', { status: 'seeding', wanted: 0 }, ['Nothing selected is missing.']],
    [
      'all that is missing is on its way',
      { wanted: 0 },
      ['No piece can be requested yet: pieces are being checked or written to storage.']
    ],
    [
      'checking',
      { status: 'checking', wanted: 0, unchecked: 5 },
      ['Existing data is checked first: 5 pieces to go.']
    ],
    ['the limit is 0', { isLimited: true }, ['The download limit is 0.']],
    [
      'several reasons',
      { isLimited: true, unchecked: 1, peers: [] },
      [
        'The download limit is 0.',
        'Existing data is checked first: 1 piece to go.',
        'No peer is connected; no address is known.'
      ]
    ]
  ]

for (const [name, change, expected] of rows) {
  test(`why nothing is requested: ${name}`, () => {
    assert.deepEqual(whyNotRequesting({ ...facts, ...change }), expected)
  })
}
