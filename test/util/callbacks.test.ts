import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import createDebug from 'debug'
import { DHT } from '../../lib/dht.ts'
import { createTorrent } from '../../lib/metainfo.ts'
import { announce, announceTiers, scrape, type TrackerOptions } from '../../lib/tracker.ts'
import { debug } from '../../lib/util/debug.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { httpTracker, replyWith } from '../tracker/http-server.ts'

const request = { infoHash: new Uint8Array(20), peerId: new Uint8Array(20), port: 1 }
const local = '127.0.0.1'

function careless(): never {
  throw new Error('careless')
}

/** Callbacks that are only notified: the work continues, and the exception is uncaught. */
const told: Readonly<Record<string, (t: TestContext, uncaught: readonly unknown[]) => Promise<void>>> = {
  'onResponse and onExternalHost of announce': async () => {
    const reply = {
      interval: 60,
      peers: Buffer.from([127, 0, 0, 9, 0, 9]),
      'external ip': Buffer.of(9, 9, 9, 9)
    }
    await using tracker = await httpTracker(replyWith(reply))
    const announcement = announce(tracker.url, request, { onResponse: careless, onExternalHost: careless })
    for await (const peer of announcement) {
      assert.deepEqual(peer, { host: '127.0.0.9', port: 9 })
      break
    }
    await announcement.close()
  },
  'onWarning of announce': async (_t, uncaught) => {
    const announcement = announce('http://127.0.0.1:1/announce', request, { onWarning: careless })
    await until('the exception', () => uncaught.length)
    assert.equal(announcement.trackers[0]?.status, 'failed')
    await announcement.close()
  },
  'onWarning of announceTiers': async () => {
    const announcement = announceTiers([['ftp://127.0.0.1/x']], request, { onWarning: careless })
    for await (const _ of announcement) assert.fail('there is no tracker')
  },
  'onWarning of a DHT': async () => {
    const dht = new DHT({ host: local, bootstrap: ['no.invalid:1'], lookup: careless, onWarning: careless })
    await dht.ready
    await dht.close()
  },
  'onPeer of an announce in the DHT': async () => {
    await using a = new DHT({ host: local, bootstrap: [] })
    await a.ready
    await using b = new DHT({ host: local, bootstrap: [`${local}:${a.ports[4]}`] })
    await b.ready
    await using c = new DHT({ host: local, bootstrap: [`${local}:${a.ports[4]}`] })
    assert.ok((await b.announce(request.infoHash, 9)) > 0)
    assert.ok((await c.announce(request.infoHash, 8, { onPeer: careless })) > 0)
  },
  'onProgress of createTorrent': async (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-callbacks-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(path.join(folder, 'a'), 'some bytes')
    assert.ok((await createTorrent(folder, { onProgress: careless })).length > 0)
  },
  'log of the debug package': async (t) => {
    const [before, write] = [createDebug.disable(), createDebug.log]
    t.after(() => {
      createDebug.log = write
      createDebug.enable(before)
    })
    createDebug.log = careless
    createDebug.enable('piecewise:*')
    debug('callbacks')('of %s', 'no interest')
  }
}
for (const [what, tell] of Object.entries(told)) {
  test(`${what} may throw: uncaught, and nothing else changes`, { timeout: 30_000 }, async (t) => {
    const uncaught = collectUncaught(t)
    await tell(t, uncaught)
    await nextTurn()
    assert.ok(uncaught.length > 0, 'nothing was thrown')
    for (const error of uncaught) assert.match(String(error), /careless/)
  })
}

/** Callbacks that answer a question: an exception or an invalid answer counts as a refusal. */
const asked: Readonly<Record<string, readonly [url: string, TrackerOptions]>> = {
  'lookup that throws': ['http://tracker.invalid/announce', { lookup: careless }],
  'lookup that gives no list': ['http://tracker.invalid/announce', { lookup: (() => 7) as never }],
  'lookup that gives no addresses': [
    'http://tracker.invalid/announce',
    { lookup: (() => [7, Symbol('x')]) as never }
  ],
  'lookup for UDP that throws': ['udp://tracker.invalid:1/announce', { lookup: careless }],
  'lookup for UDP that gives no list': [
    'udp://tracker.invalid:1/announce',
    { lookup: (() => ({})) as never }
  ],
  'lookup for UDP that gives no addresses': ['udp://tracker.invalid:1', { lookup: (() => [null]) as never }],
  'agent that throws': ['http://127.0.0.1:1/announce', { agent: careless }],
  'agent that is none': ['http://127.0.0.1:1/announce', { agent: (() => 42) as never }]
}
for (const [what, [url, options]] of Object.entries(asked)) {
  test(`a ${what} is a fault of the tracker, in announce and scrape`, { timeout: 30_000 }, async (t) => {
    const uncaught = collectUncaught(t)
    const warnings: Error[] = []
    const announcement = announce(url, request, { ...options, onWarning: (error) => warnings.push(error) })
    await until('a warning', () => warnings.length)
    await announcement.close()
    assert.equal((warnings[0] as { code?: string }).code, 'ERR_TRACKER_NETWORK')
    const scraped = scrape(url, [request.infoHash], options)
    await assert.rejects(scraped, { name: 'TorrentError', code: 'ERR_TRACKER_NETWORK' })
    assert.deepEqual(uncaught, [])
  })
}
