import assert from 'node:assert/strict'
import test from 'node:test'
import { DHT } from '../../lib/dht/dht.ts'
import { DhtHandle } from '../../lib/dht/dht-handle.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import { TorrentError } from '../../lib/util/errors.ts'

const local = '127.0.0.1'
const closed = (error: unknown): boolean => error instanceof TorrentError && error.code === 'ERR_DHT_CLOSED'

async function pair(): Promise<{ root: DHT; handle: DhtHandle; close: () => Promise<void> }> {
  const root = new DHT({ host: local, bootstrap: [] })
  await root.ready
  const port = await bindUdpPort({ family: 4, host: local })
  const ports = Promise.resolve([port])
  const handle = new DhtHandle({ ports, bootstrap: [`${local}:${root.ports[4]}`], lazy: true })
  await ports
  return {
    root,
    handle,
    close: async () => {
      await Promise.all([root.close(), handle.close()])
      await port.close()
    }
  }
}

test('a handle sleeps until it is used, and then executes the calls', async () => {
  const { root, handle, close } = await pair()
  const infoHash = randomBytes(20)
  try {
    assert.notEqual(handle.ports[4], undefined)
    assert.deepEqual([handle.size, handle.save()], [{ 4: 0, 6: 0 }, {}])
    assert.deepEqual(handle.address, { 4: undefined, 6: undefined })
    // All calls at once, while the engine is loaded.
    const [told] = await Promise.all([
      handle.announce(infoHash, 7),
      handle.connected(),
      handle.ready,
      handle.put({ value: 'an item' }),
      handle.scrape(infoHash)
    ])
    assert.equal(told, 1)
    const found: number[] = []
    for await (const { port } of root.peers(infoHash)) found.push(port)
    assert.deepEqual(found, [7])
    assert.deepEqual([handle.size[4], handle.save().id?.length], [1, 20])
  } finally {
    await close()
  }
})

test('a handle without any use closes, and answers like a closed DHT', async () => {
  const { handle, close } = await pair()
  await handle.close()
  await assert.rejects(handle.ready, closed)
  await assert.rejects(handle.connected(), closed)
  await assert.rejects(handle.announce(randomBytes(20), 7), closed)
  assert.throws(() => handle.peers(randomBytes(20)), closed)
  handle.addNode({ host: local, port: 7 })
  await close()
})

test('a call ends when the handle closes or its signal aborts while the engine is loaded', async () => {
  const { handle, close } = await pair()
  const collect = async (signal?: AbortSignal): Promise<unknown[]> => {
    const found: unknown[] = []
    for await (const peer of handle.peers(randomBytes(20), { signal })) found.push(peer)
    return found
  }
  const stop = new AbortController()
  const aborted = assert.rejects(collect(stop.signal), /enough/)
  const ready = assert.rejects(handle.ready, closed)
  const peers = collect()
  stop.abort(new Error('enough'))
  await handle.close()
  await Promise.all([aborted, ready])
  // A look-up ends quietly.
  assert.deepEqual(await peers, [])
  await close()
})
