// A private torrent (BEP 27) of an earlier run stays private when its metadata, which says so, is lost.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import type { Client } from '../../lib/client/client.ts'
import { DHT } from '../../lib/dht.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { toHex } from '../../lib/util/bytes.ts'
import type { ExtendedHandshake } from '../../lib/wire/extended-handshake.ts'
import { until } from '../support/until.ts'
import { Bench, type Sample } from '../torrent/bench.ts'
import { dial, EvilPeer } from '../torrent/evil-peer.ts'

const local = '127.0.0.1'

/** Starts a DHT node and records all that it receives. */
async function listeningNode(bench: Bench): Promise<{ bootstrap: string[]; heard: Buffer[] }> {
  const port = await bindUdpPort({ family: 4, host: local })
  bench.after(() => port.close())
  const heard: Buffer[] = []
  // This claim takes nothing, so datagrams go on to the node.
  port.claim({
    matches: (message) => {
      heard.push(Buffer.from(message))
      return false
    },
    receive: () => {}
  })
  const node = new DHT({ ports: [port], bootstrap: [] })
  bench.after(() => node.close())
  await node.ready
  return { bootstrap: [`${local}:${port.port}`], heard }
}

/** Returns everything that a client sends to a peer that dials it for this torrent. */
async function greeting(
  bench: Bench,
  client: Client,
  sample: Sample
): Promise<{ dht: boolean; pex: boolean }> {
  const { wire } = new EvilPeer(dial(bench, client.port), sample, { mute: true })
  const [{ extensions }] = (await once(wire, 'extended-handshake')) as [ExtendedHandshake]
  return { dht: wire.peerDht, pex: (extensions.get('ut_pex') ?? 0) !== 0 }
}

/** Damage to a state folder, and how the torrent comes back. */
const accidents: [what: string, lose: (state: string, infoHash: string) => void, isRestored: boolean][] = [
  ['lost', (state, infoHash) => rmSync(path.join(state, `${infoHash}.torrent`)), true],
  ['damaged', (state, infoHash) => writeFileSync(path.join(state, `${infoHash}.torrent`), 'torn'), true],
  [
    'lost together with the list of torrents',
    (state, infoHash) => {
      rmSync(path.join(state, `${infoHash}.torrent`))
      rmSync(path.join(state, 'client.session'))
    },
    false
  ]
]

for (const [what, lose, isRestored] of accidents) {
  test(`a torrent whose metadata is ${what} stays private`, async (t) => {
    const bench = new Bench(t)
    const state = bench.folder()
    const sample = await bench.sample({ 'secret.mkv': 50_000 }, { private: true })
    const open = await bench.sample({ 'open.mkv': 50_000 })
    const hashes = [sample, open].map(({ metainfo }) => toHex(metainfo.infoHashes.v1 ?? new Uint8Array()))
    const [infoHash = '', openHash = ''] = hashes
    const first = bench.client({ state })
    for (const { bytes, folder } of [sample, open])
      await (await first.add(bytes, { path: folder })).whenDone()
    await first.close()
    lose(state, infoHash)

    const { bootstrap, heard } = await listeningNode(bench)
    const hears = (hash: string): boolean =>
      heard.some((message) => message.includes(Buffer.from(hash, 'hex')))
    const second = bench.client({ state, lsd: true, pex: true, dht: { bootstrap } })
    const come = (client: Client): void => {
      if (isRestored) return
      client.add(infoHash, { path: sample.folder }).catch(() => {})
      client.add(openHash, { path: open.folder }).catch(() => {})
    }
    come(second)
    await until('the open torrent to be complete', () => second.get(openHash)?.done, { is: true })
    const torrent = second.get(infoHash)
    assert.equal(torrent?.status, 'metadata')
    assert.equal(torrent.private, true)
    const neighbour = bench.client({ lsd: true })
    neighbour.add(infoHash).catch(() => {})
    await (await neighbour.add(openHash)).whenDone()
    // The open torrent is next in the DHT, and the local announces of both are one.
    await until('a lookup of the open torrent', () => hears(openHash))
    assert.ok(!hears(infoHash), 'the DHT gets nothing of it')
    assert.deepEqual(torrent.peers, [], 'nor does the local network')
    assert.deepEqual(await greeting(bench, second, open), { dht: true, pex: true })
    // A peer with the metadata restores it.
    const again = once(torrent, 'metadata')
    assert.deepEqual(await greeting(bench, second, sample), { dht: false, pex: false })
    await again
    await torrent.whenDone()
    assert.ok(!hears(infoHash))
    await second.close()
    lose(state, infoHash)
    const third = bench.client({ state })
    come(third)
    await until('the torrent to be private', () => third.get(infoHash)?.private, { is: true })
    assert.equal(third.get(infoHash)?.status, 'metadata')
  })
}

test('a torrent stays private over a run in which its metadata did not arrive', async (t) => {
  const bench = new Bench(t)
  const state = bench.folder()
  const { bytes } = await bench.sample({ 'secret.mkv': 50_000 }, { private: true })
  const first = bench.client({ state })
  const { infoHash } = await first.add(bytes)
  await first.close()
  rmSync(path.join(state, `${infoHash}.torrent`))
  for (let run = 0; run < 3; run++) {
    const client = bench.client({ state })
    const [torrent] = await client.restored()
    assert.deepEqual([torrent?.status, torrent?.private], ['metadata', true])
    await client.close()
  }
})
