import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress } from '../../lib/util/address.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { PexExtension } from '../../lib/wire/ut-pex.ts'
import { until } from '../support/until.ts'
import { Bench } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'

test('a peer from PEX is disconnected once the torrent turns out private', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 }, { private: true })
  const named = await listenAs(bench, sample, { mute: true, metadataSize: 0 })
  const known = deferred<void>()
  const { info, infoHashes } = sample.metainfo
  const peer = await listenAs(bench, sample, {
    mute: true,
    answerMetadata: (extension, piece) => {
      void known.promise.then(() => extension.data(piece, info.length, info))
    },
    onWire: ({ wire }) => {
      const pex: PexExtension = wire.use(
        new PexExtension(wire, {
          onReady: () =>
            pex.send({ added: [{ address: parseAddress(named.address), flags: 0 }], dropped: [] })
        })
      )
      wire.extendedHandshake({ metadataSize: info.length })
    }
  })
  const client = bench.client({ pex: true })
  const adding = client.add(Buffer.from(infoHashes.v1 ?? []).toString('hex'), { peers: [peer.address] })
  const sources = (): string => (client.torrents[0]?.peers ?? []).map(({ source }) => source).join()
  await until('both peers', sources, { is: 'manual,pex' })
  known.resolve()
  const torrent = await adding
  assert.equal(torrent.private, true)
  await until('the end of the connection', () => named.sockets[0]?.closed)
  assert.equal(sources(), 'manual')
})
