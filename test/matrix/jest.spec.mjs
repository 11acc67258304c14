import { expect, test } from '@jest/globals'
import { Client } from 'piecewise'
import { createTorrent, parseTorrent } from 'piecewise/metainfo'
import { createServer } from 'piecewise/server'
import { exercise } from './exercise.mjs'

test('downloads, streams, serves and makes a torrent', async () => {
  const { ms } = await exercise({ Client, createServer, createTorrent, parseTorrent })
  expect(ms).toBeGreaterThan(0)
}, 120_000)
