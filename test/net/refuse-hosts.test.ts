import assert from 'node:assert/strict'
import { connect, createServer, type Server } from 'node:net'
import { test } from 'node:test'
import type { Connection } from '../../lib/net/connection.ts'
import { refuseHosts } from '../../lib/net/refuse-hosts.ts'
import { TcpTransport } from '../../lib/net/tcp.ts'

/** Dials from an address of this machine. Returns whether any byte is answered before the end. */
function isTaken(port: number, from: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress: from })
    socket.on('error', () => {})
    socket.on('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.on('close', () => resolve(false))
  })
}

test('connections of refused hosts are closed, and others are accepted', async () => {
  const transport = new TcpTransport()
  const asked: string[] = []
  const taken: string[] = []
  const { port } = await transport.listen({
    host: '127.0.0.1',
    port: 0,
    refuses: (host) => {
      asked.push(host)
      return host === '127.0.0.2'
    },
    onConnection: (connection: Connection) => {
      taken.push(connection.remote.host)
      connection.start({ onReceive: () => true, onDrain: () => {}, onClose: () => {} })
      connection.write([Buffer.from('hello')])
    }
  })
  for (const from of ['127.0.0.2', '127.0.0.3', '127.0.0.2'])
    assert.equal(await isTaken(port, from), from !== '127.0.0.2')
  assert.deepEqual(taken, ['127.0.0.3'])
  assert.ok(asked.includes('127.0.0.2') && asked.includes('127.0.0.3'))
  await transport.close()
})

for (const [what, handle] of [
  ['no handle', undefined],
  ['a closed handle', null],
  ['a handle of another kind', {}]
] as const) {
  test(`a server with ${what} is left unchanged`, () => {
    const server: Server = createServer()
    Object.assign(server, { _handle: handle })
    refuseHosts(server, () => true)
    assert.equal((server as unknown as { _handle?: unknown })._handle, handle)
  })
}
