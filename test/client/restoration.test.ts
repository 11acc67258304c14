import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { maxPathElements } from '../../lib/metainfo/limits.ts'
import { torrentOfFiles } from '../support/large-torrents.ts'
import { until } from '../support/until.ts'
import { Bench } from '../torrent/bench.ts'

test('a torrent stored by an earlier version is restored beyond the limits for new ones', async (t) => {
  const bench = new Bench(t)
  const files = `d6:lengthi1e4:pathl${'1:a'.repeat(100)}ee`
  const bytes = torrentOfFiles(Buffer.from(files.repeat(maxPathElements / 100 + 1)))
  // The `info` dictionary, without the outer dictionary.
  const infoHash = createHash('sha1').update(bytes.subarray(7, -1)).digest('hex')
  const state = bench.folder()
  const first = bench.client({ state })
  const added = first.add(infoHash, { select: 'none', paused: true })
  added.catch(() => {})
  await until('the torrent to be added', () => first.torrents.length)
  await first.close()
  writeFileSync(path.join(state, `${infoHash}.torrent`), bytes)
  const second = bench.client({ state })
  const [torrent] = await second.restored()
  assert.equal(torrent?.infoHash, infoHash)
  assert.equal(torrent.files.length, maxPathElements / 100 + 1)
  await assert.rejects(bench.client().add(bytes), { code: 'ERR_METAINFO_INVALID', message: /2000000/ })
})
