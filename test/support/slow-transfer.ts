// A program with everything that makes transfers slow, run with DEBUG=piecewise:*. It ends once all of it has
// happened.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { Wire } from '../../lib/wire/wire.ts'
import { addressOf, Bench } from '../torrent/bench.ts'
import { dial, listenAs } from '../torrent/evil-peer.ts'
import { until } from './until.ts'

const ends: (() => unknown)[] = []
const bench = new Bench({ after: (end: () => unknown) => void ends.push(end) } as unknown as TestContext)
const sample = await bench.sample({ 'film.mkv': 600_000 })
// Slow enough that the reader waits and late requests are looked for.
const { client: seed } = await bench.seeder(sample, { uploadLimit: 300_000 })

// A tracker that names no peers.
const tracker = createServer((_, response) =>
  response.end('d8:completei1e10:incompletei2e8:intervali900e5:peers0:e')
)
await new Promise<void>((resolve) => tracker.listen(0, '127.0.0.1', resolve))
bench.after(() => tracker.close())

// A dead address, a peer that never answers, and a reader that waits for the seed that comes later.
const silent = await listenAs(bench, sample, { answer: () => {} })
const reading = await bench.client().add(sample.bytes, {
  trackers: [`http://127.0.0.1:${(tracker.address() as AddressInfo).port}/announce`],
  peers: ['127.0.0.1:1', silent.address]
})
await until('requests at the silent peer', () => reading.peers.some(({ requests }) => requests > 0))
const text = reading.files[0]?.arrayBuffer()
reading.addPeer(addressOf(seed))
await text

// A peer that sends bad blocks.
const bad = await listenAs(bench, sample, {
  answer: (peer, piece, offset, length) => peer.wire.piece(piece, offset, new Uint8Array(length))
})
const cheated = await bench.client().add(sample.bytes, { peers: [bad.address] })
await until('the ban', () => bad.peers.length > 0 && cheated.peers.length === 0)

// Too little memory for these pieces.
const large = await bench.sample({ 'large.mkv': 6_000_000 }, { pieceLength: 262_144 })
const { client: largeSeed } = await bench.seeder(large)
const poor = await bench.client({ memoryLimit: 1 }).add(large.bytes, { peers: [addressOf(largeSeed)] })
await poor.whenDone()

// A client whose connections are all taken by peers that were silent since their handshake, and a new peer.
const full = bench.client({ maxConnections: 2 })
const crowded = await full.add(sample.bytes, { select: 'none' })
for (let n = 1; n <= 2; n++) {
  const socket = dial(bench, full.port)
  const wire = new Wire()
  socket.pipe(wire).pipe(socket)
  wire.handshake(sample.metainfo.infoHashes.v1 ?? new Uint8Array(20), randomBytes(20))
  await until('a peer', () => crowded.peers.length, { is: n })
}
const now = performance.now.bind(performance)
performance.now = () => now() + 60_000
await bench.client().add(sample.bytes, { select: 'none', peers: [addressOf(full)] })
await until('the newcomer', () =>
  crowded.peers.some(({ progress, client }) => client?.startsWith('piecewise') && progress === 0)
)

for (const end of ends.reverse()) await end()
