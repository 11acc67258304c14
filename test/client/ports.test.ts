import assert from 'node:assert/strict'
import { createSocket, Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { addressOf, assertSame, Bench, serve } from '../torrent/bench.ts'

for (const dht of [{ bootstrap: [] }, false]) {
  test(`UDP has the port of TCP with the DHT ${dht === false ? 'off' : 'on'}, and UDP trackers see it`, async (t) => {
    const bench = new Bench(t)
    const tracker = createSocket('udp4')
    bench.after(() => tracker.close())
    tracker.bind(0, '127.0.0.1')
    await once(tracker, 'listening')
    const asked = once(tracker, 'message')
    const { bytes } = await bench.sample({ 'film.mkv': 50_000 })
    const client = bench.client({ dht })
    await client.add(bytes, { trackers: [`udp://127.0.0.1:${tracker.address().port}/announce`] })
    assert.ok(client.port > 0)
    await assert.rejects(bindUdpPort({ family: 4, host: '127.0.0.1', port: client.port }), {
      code: 'ERR_TRANSPORT_LISTEN'
    })
    const [, from] = await asked
    assert.deepEqual([from.address, from.port], ['127.0.0.1', client.port])
    await client.close()
    await (await bindUdpPort({ family: 4, host: '127.0.0.1', port: client.port })).close()
  })
}

test('a client whose host is :: reaches peers and trackers over IPv4', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 200_000 })
  const { client: seed } = await bench.seeder(sample)
  const seen: (string | undefined)[] = []
  const web = await serve(bench, (request, response) => {
    seen.push(request.socket.remoteAddress)
    response.end('d8:intervali900e5:peers0:e')
  })
  const client = bench.client({ host: '::' })
  const torrent = await client.add(sample.bytes, {
    peers: [addressOf(seed)],
    trackers: [`${web}/announce`]
  })
  await torrent.whenDone()
  assertSame(torrent, sample)
  await client.close()
  assert.ok(seen.length > 0 && seen.every((host) => host === '127.0.0.1'))
})

for (const dht of [{ bootstrap: [] }, false]) {
  test(`a port taken for UDP alone is replaced with the DHT ${dht === false ? 'off' : 'on'}, with a warning`, async (t) => {
    const bench = new Bench(t)
    const taken = await bindUdpPort({ family: 4, host: '127.0.0.1' })
    bench.after(() => taken.close())
    const client = bench.client({ dht, port: taken.port })
    const [warning] = await once(client, 'warning')
    assert.equal(warning.code, 'ERR_TRANSPORT_LISTEN')
    assert.deepEqual(warning.details, { port: taken.port, used: client.port })
    await assert.rejects(bindUdpPort({ family: 4, host: '127.0.0.1', port: client.port }))
  })
}

test('without UDP, connections work over TCP in both directions', async (t) => {
  t.mock.method(Socket.prototype, 'bind', function (this: Socket) {
    process.nextTick(() => this.emit('error', Object.assign(new Error('bind EPERM'), { code: 'EPERM' })))
    return this
  })
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const seed = bench.client({ dht: { bootstrap: [] } })
  const warned = once(seed, 'warning')
  await seed.seed(sample.root, { pieceLength: sample.metainfo.pieceLength, creationDate: false })
  assert.equal((await warned)[0].code, 'ERR_TRANSPORT_LISTEN')
  const torrent = await bench.client().add(sample.bytes, { peers: [addressOf(seed)] })
  await torrent.whenDone()
  assertSame(torrent, sample)
})
