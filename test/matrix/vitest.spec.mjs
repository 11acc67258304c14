import { Client } from 'piecewise'
import { createTorrent, parseTorrent } from 'piecewise/metainfo'
import { createServer } from 'piecewise/server'
import { expect, test } from 'vitest'
import { exercise } from './exercise.mjs'

test('downloads, streams, serves and makes a torrent', { timeout: 120_000 }, async () => {
  const { ms } = await exercise({ Client, createServer, createTorrent, parseTorrent })
  expect(ms).toBeGreaterThan(0)
})
