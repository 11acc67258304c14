import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net, { type Socket } from 'node:net'
import { test } from 'node:test'
import { whenClosed } from '../support/closed.ts'
import { Bench } from '../torrent/bench.ts'

/** More than earlier versions read at a time, and fewer than this one does. */
const flood = 200

function handshakeOf(infoHash: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from('\x13BitTorrent protocol', 'latin1'),
    Buffer.alloc(8),
    infoHash,
    randomBytes(20)
  ])
}

for (const [kind, attack] of [
  ['say nothing', () => {}],
  ['send a handshake byte by byte', (socket: Socket) => socket.write(Buffer.of(19))],
  ['close at once', (socket: Socket) => socket.end()],
  ['send something else', (socket: Socket) => socket.write('GET / HTTP/1.1\r\n\r\n')],
  ['ask for another torrent', (socket: Socket) => socket.write(handshakeOf(randomBytes(20)))]
] as const) {
  test(`a handshake is answered although many connections from the same address ${kind}`, async (t) => {
    const bench = new Bench(t)
    const sample = await bench.sample({ 'film.bin': 20_000 })
    const { client } = await bench.seeder(sample)
    const connect = async (): Promise<Socket> => {
      const socket = net.connect({ port: client.port, host: '127.0.0.1', noDelay: true })
      socket.on('error', () => {})
      bench.after(() => socket.destroy())
      await once(socket, 'connect')
      return socket
    }
    const honest = await connect()
    for (const socket of await Promise.all(Array.from({ length: flood }, connect))) attack(socket)
    // All earlier handshakes are read once this one is answered.
    for (const socket of [await connect(), honest]) {
      const handshake = handshakeOf(sample.metainfo.infoHashes.v1 ?? assert.fail())
      socket.write(handshake.subarray(0, 30))
      socket.write(handshake.subarray(30))
      assert.ok(!socket.destroyed, 'closed before its handshake')
      const closed = whenClosed(socket).then(() => assert.fail('closed without an answer'))
      const [answer] = await Promise.race([once(socket, 'data'), closed])
      assert.equal(answer.subarray(1, 20).toString('latin1'), 'BitTorrent protocol')
    }
  })
}
