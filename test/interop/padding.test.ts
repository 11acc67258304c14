// Torrents with pad files (BEP 47) made by libtorrent: real programs serve our requests, and get theirs
// answered.
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { layoutOf } from '../../lib/metainfo/layout.ts'
import { parseTorrent } from '../../lib/metainfo.ts'
import { realPeers } from './peers/all.ts'
import { libtorrent } from './peers/libtorrent.ts'
import { piecewise, startClient } from './peers/piecewise.ts'
import { freePort } from './peers/real-peer.ts'
import { assertSameTree, temporaryFolder, writeRandomFile } from './support/data.ts'
import { makePadded, type PaddedKind } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { loopback, type Running, within } from './support/process.ts'
import { transfer, transferNeeds } from './support/transfer.ts'

const { folder, remove } = temporaryFolder('padding')
const data = path.join(folder, 'things')
/** Files that end within a block, at the end of one, of a piece, and within a piece; one is empty. */
const lengths = [70_123, 16_384, 0, 131_072, 300_001, 5, 1_000_000]
const dataLength = lengths.reduce((sum, length) => sum + length, 0)
const kinds: readonly PaddedKind[] = ['v1', 'hybrid']
/** The same with the pad files. */
const written = path.join(folder, 'written', 'things')
const torrentOf = (kind: PaddedKind): string => path.join(folder, `${kind}.torrent`)

before(() => {
  if (needs(libtorrent.needed, 0).skip !== false) return
  for (const [index, length] of lengths.entries())
    writeRandomFile(path.join(data, `file-${index}`), length, `padding ${index}`)
  for (const kind of kinds) makePadded(data, torrentOf(kind), 16, kind)
  cpSync(data, written, { recursive: true })
  mkdirSync(path.join(written, '.pad'))
  for (const { pad, path: name, length } of parseTorrent(readFileSync(torrentOf('v1'))).files)
    if (pad) writeFileSync(path.join(written, '..', name), new Uint8Array(length))
})
after(remove)

for (const kind of kinds) {
  test(`no padding comes from libtorrent: ${kind} torrent`, needs(libtorrent.needed, 60_000), async (t) => {
    const programs: Running[] = []
    const { folder: out, remove: removeOut } = temporaryFolder('padding-out')
    t.after(async () => {
      await Promise.all(programs.map((program) => program.stop()))
      removeOut()
    })
    const torrentPath = torrentOf(kind)
    const layout = layoutOf(parseTorrent(readFileSync(torrentPath)))
    assert.equal(layout.dataLength, dataLength)
    assert.ok(layout.length > dataLength, 'there are pad files')
    const [port, ownPort] = [await freePort(), await freePort()]
    const task = { torrentPath, dataFolder: folder, workFolder: folder, place: loopback, port }
    const seed = await libtorrent.seed(task)
    programs.push(seed)
    const client = startClient('leecher', loopback, {
      torrent: torrentPath,
      folder: out,
      host: loopback.host,
      port: ownPort,
      peers: [`${loopback.host}:${port}`]
    })
    programs.push(client)
    await within('the download', client.done, { timeoutMs: 30_000, programs })
    const report = client.report()
    assert.deepEqual([report?.received, report?.progress], [dataLength, 1])
    assertSameTree(path.join(out, 'things'), data)
    assert.equal(await seed.sent(), dataLength)
  })
}

/** Programs that treat pad files as ordinary files. */
const unaware = ['Transmission', 'aria2']

for (const peer of realPeers) {
  const theirs = unaware.includes(peer.name) ? written : data
  for (const [seeder, leecher] of [
    [peer, piecewise],
    [piecewise, peer]
  ] as const) {
    const options = transferNeeds({ seeder, leecher })
    test(`${leecher.name} downloads a padded torrent from ${seeder.name}`, options, async (t) => {
      const [path, expected] = seeder === peer ? [theirs, data] : [data, theirs]
      const torrentPath = torrentOf('v1')
      await transfer(t, { path, torrentPath }, { seeder, leecher, tracker: 'http', expected })
    })
  }
}
