import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DhtService } from '../../lib/client/dht-service.ts'
import { DHT } from '../../lib/dht.ts'
import { systemHostLookup } from '../../lib/net/resolve-host.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'

test('our address is reported as soon as enough nodes agree on it', async (t) => {
  const host = '127.0.0.1'
  const nodes = Array.from({ length: 6 }, () => new DHT({ host, bootstrap: [] }))
  t.after(() => Promise.all(nodes.map((node) => node.close())))
  await Promise.all(nodes.map((node) => node.ready))
  const port = await bindUdpPort({ family: 4, host })
  t.after(() => port.close())
  const address = await new Promise((resolve) => {
    const service = new DhtService({
      ports: Promise.resolve([port]),
      host,
      stateFolder: undefined,
      lookup: systemHostLookup,
      bootstrap: nodes.map((node) => `${host}:${node.ports[4]}`),
      tcpPort: () => 0,
      onAddress: resolve,
      onWarning: assert.ifError
    })
    t.after(() => service.close())
    service.peers(new Uint8Array(20).fill(7), { isSeed: () => false, isHungry: () => true })
  })
  assert.equal(address, host)
})
