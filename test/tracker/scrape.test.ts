import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scrape } from '../../lib/tracker/scrape.ts'
import { httpTracker, replyWith } from './http-server.ts'
import { politely, udpTracker, words } from './udp-server.ts'

const hash = (n: number): Uint8Array => new Uint8Array(20).fill(n)

test('over UDP 74 torrents are scraped at a time, in order', async () => {
  await using tracker = await udpTracker((request) => {
    if (request.action === 'connect') return politely(request)
    const first = request.bytes.subarray(16)
    const rows = Array.from({ length: first.length / 20 }, (_, n) => words(first[20 * n] ?? 0, 2, 3))
    request.reply(2, Buffer.concat(rows))
  })
  const results = await scrape(
    tracker.url,
    Array.from({ length: 100 }, (_, n) => hash(n))
  )
  assert.deepEqual(results[99], { complete: 99, downloaded: 2, incomplete: 3 })
  assert.deepEqual(
    results.map((one) => one?.complete),
    Array.from({ length: 100 }, (_, n) => n)
  )
  assert.deepEqual(
    tracker.requests.map(({ bytes }) => bytes.length),
    [16, 16 + 74 * 20, 16, 16 + 26 * 20]
  )
})

test('over HTTP torrents unknown to the tracker are undefined', async () => {
  const files = new Map([[hash(1), { complete: 1, incomplete: 2, downloaded: 3 }]])
  await using tracker = await httpTracker(replyWith({ files }))
  assert.deepEqual(await scrape(tracker.url, [hash(2), hash(1)]), [
    undefined,
    { complete: 1, incomplete: 2, downloaded: 3 }
  ])
  await assert.rejects(scrape(tracker.url.replace('announce', 'x'), [hash(1)]), { code: 'ERR_TRACKER_URL' })
  assert.throws(() => scrape(tracker.url, [new Uint8Array(32)]), { code: 'ERR_TRACKER_OPTION' })
  assert.throws(() => scrape('ws://x', []), { code: 'ERR_TRACKER_URL' })
})
