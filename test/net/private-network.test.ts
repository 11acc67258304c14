import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DHT } from '../../lib/dht/dht.ts'
import { announce, scrape } from '../../lib/tracker.ts'
import { until } from '../support/until.ts'
import { httpTracker, replyWith } from '../tracker/http-server.ts'
import { politely, udpTracker } from '../tracker/udp-server.ts'

const request = { infoHash: new Uint8Array(20).fill(1), peerId: new Uint8Array(20).fill(2), port: 6881 }

/** Returns the sockets that keep the process alive. */
function openSockets(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /^(?:TCP|UDP|TLS)/.test(name))
}

async function announceOnce(url: string): Promise<void> {
  await using announcement = announce(url, request)
  for await (const peer of announcement) {
    assert.ok(peer.port > 0)
    break
  }
}

const uses: Readonly<Record<string, () => Promise<unknown>>> = {
  'announce over UDP': async () => {
    await using tracker = await udpTracker(politely)
    await announceOnce(tracker.url)
  },
  'announce over HTTP': async () => {
    await using tracker = await httpTracker(
      replyWith({ interval: 900, peers: Uint8Array.of(10, 0, 0, 1, 26, 225) })
    )
    await announceOnce(tracker.url)
  },
  'scrape over UDP': async () => {
    await using tracker = await udpTracker(politely)
    await scrape(tracker.url, [request.infoHash])
  },
  'a DHT': async () => {
    await using dht = new DHT({ host: '127.0.0.1', bootstrap: [] })
    await dht.ready
    assert.ok(openSockets().length > 0)
  }
}

for (const [name, use] of Object.entries(uses)) {
  test(`${name} on its own closes everything it has opened`, { timeout: 30_000 }, async () => {
    await use()
    // Handles disappear some turns of the event loop after they are closed.
    await until('all sockets to close', openSockets, { is: (open) => open.length === 0 })
  })
}
