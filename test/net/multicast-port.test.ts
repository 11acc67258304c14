import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import test from 'node:test'
import { type MulticastOptions, MulticastPort } from '../../lib/net/multicast-port.ts'
import { randomBytes, toHex } from '../../lib/util/bytes.ts'

test('a port receives from its group, and reports that another program holds it', async (t) => {
  const heard: string[] = []
  let arrived = (): void => {}
  const options: MulticastOptions = {
    family: 4,
    group: '239.192.152.143',
    port: 6771,
    host: '127.0.0.1',
    accepts: (host) => host.startsWith('127.'),
    onMessage: (message, from) => {
      heard.push(`${from.host} ${Buffer.from(message)}`)
      if (heard.length === 2) arrived()
    }
  }
  const port = await MulticastPort.open(options)
  t.after(() => port?.close())
  // The socket alone keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.after(() => clearInterval(alive))
  const both = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const unique = toHex(randomBytes(8))
  port?.send(Buffer.from(`${unique}1`))
  port?.send(Buffer.from(`${unique}2`))
  await both
  assert.deepEqual(
    heard.filter((line) => line.includes(unique)),
    [`127.0.0.1 ${unique}1`, `127.0.0.1 ${unique}2`]
  )
  assert.equal(await MulticastPort.open({ ...options, host: '203.0.113.99' }), undefined)
  const selfish = createSocket('udp4')
  t.after(() => selfish.close())
  await new Promise<void>((resolve) => selfish.bind(0, '127.0.0.1', resolve))
  await assert.rejects(MulticastPort.open({ ...options, group: '127.0.0.1', port: selfish.address().port }))
  await port?.close()
  port?.send(Buffer.from('late'))
  port?.refresh()
})
