import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, assertSame, Bench } from './bench.ts'
import { type EvilPeer, listenAs } from './evil-peer.ts'

const mebibyte = 1 << 20

/** What a seed does when it has sent one block of a piece. */
const ends: Readonly<Record<string, (peer: EvilPeer) => void>> = {
  leaves: ({ socket }) => socket.destroy(),
  chokes: ({ wire }) => wire.choke()
}

for (const [end, stop] of Object.entries(ends)) {
  test(`a seed that ${end} leaves no memory behind that other torrents need`, async (t) => {
    const bench = new Bench(t)
    const large = await bench.sample({ 'large.bin': 2 * mebibyte }, { pieceLength: mebibyte })
    const small = await bench.sample({ 'small.bin': 400_000 })
    const { client: seeder } = await bench.seeder(small)
    let sent = 0
    const short = await listenAs(bench, large, {
      fast: false,
      answer: (peer, piece, offset, length) => {
        if (sent++ > 0) return
        peer.wire.piece(piece, offset, peer.block(piece, offset, length))
        setImmediate(() => stop(peer))
      }
    })
    // All that pieces without readers may have is one piece of the large torrent.
    const client = bench.client({ memoryLimit: Math.ceil((4 / 3) * mebibyte) })
    const waiting = await client.add(large.bytes, { peers: [short.address] })
    while (sent === 0) await new Promise((resolve) => setImmediate(resolve))
    const torrent = await client.add(small.bytes, { peers: [addressOf(seeder)] })
    await torrent.whenDone()
    assertSame(torrent, small)
    // The block that came was kept.
    const asked = new Set<number>()
    const honest = await listenAs(bench, large, {
      answer: (peer, piece, offset, length) => {
        asked.add(piece * mebibyte + offset)
        peer.wire.piece(piece, offset, peer.block(piece, offset, length))
      }
    })
    waiting.addPeers([honest.address])
    await waiting.whenDone()
    assertSame(waiting, large)
    assert.equal(asked.size, 127)
  })
}
