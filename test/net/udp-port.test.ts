import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { TorrentError } from '../../lib/util/errors.ts'

const localhost = { 4: '127.0.0.1', 6: '::1' } as const

for (const family of [4, 6] as const) {
  test(`datagrams over IPv${family} go to the first claim that accepts them`, async () => {
    const host = localhost[family]
    const a = await bindUdpPort({ family, host })
    const b = await bindUdpPort({ family, host })
    assert.ok(a.port > 0 && a.family === family)
    const got: string[] = []
    const done = deferred<void>()
    const refuse = b.claim({ matches: () => false, receive: () => got.push('never') })
    b.claim({
      matches: (m) => m[0] === 1,
      receive: (m, from) => got.push(`one ${m[1]} ${from.port === a.port}`)
    })
    b.claim({ matches: () => true, receive: (m) => done.resolve(void got.push(`rest ${m[0]}`)) })
    a.send(Uint8Array.of(1, 7), { host, port: b.port })
    a.send(Uint8Array.of(2), { host, port: b.port })
    await done.promise
    refuse()
    assert.deepEqual(got, ['one 7 true', 'rest 2'])
    await Promise.all([a.close(), a.close(), b.close()])
  })
}

test('a claim that throws and an unclaimed datagram leave the port working', async () => {
  const warned = deferred<Error>()
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1', onWarning: warned.resolve })
  const seen = deferred<void>()
  const release = port.claim({
    matches: (m) => m[0] === 9,
    receive() {
      throw new Error('broken claim')
    }
  })
  const self = { host: '127.0.0.1', port: port.port }
  port.send(Uint8Array.of(1), self)
  port.send(Uint8Array.of(9), self)
  assert.match((await warned.promise).message, /broken claim/)
  release()
  port.claim({ matches: () => true, receive: () => seen.resolve() })
  port.send(Uint8Array.of(9), self)
  await seen.promise
  await port.close()
})

test('sending fails through onError alone', async () => {
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1', unref: true })
  const failure = (to: { host: string; port: number }): Promise<Error> =>
    new Promise((resolve) => port.send(Uint8Array.of(1), to, resolve))
  assert.match((await failure({ host: '127.0.0.1', port: 0 })).message, /[Pp]ort/)
  assert.match((await failure({ host: 'tracker.example', port: 1 })).message, /not an IP address/)
  assert.ok(await failure({ host: '::1', port: 1 }))
  port.send(Uint8Array.of(1), { host: '127.0.0.1', port: 0 })
  const closing = port.close()
  assert.ok(await failure({ host: '127.0.0.1', port: 9 }))
  await closing
})

test('a closed far port does not disturb the socket', async () => {
  const warnings: Error[] = []
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1', onWarning: (error) => warnings.push(error) })
  const gone = createSocket('udp4')
  await new Promise<void>((resolve) => gone.bind(0, '127.0.0.1', resolve))
  const far = gone.address().port
  await new Promise<void>((resolve) => gone.close(() => resolve()))
  port.send(Uint8Array.of(1), { host: '127.0.0.1', port: far })
  const echoed = deferred<void>()
  port.claim({ matches: () => true, receive: () => echoed.resolve() })
  port.send(Uint8Array.of(2), { host: '127.0.0.1', port: port.port })
  await echoed.promise
  await port.close()
  assert.deepEqual(warnings, [])
})

test('an address that cannot be bound is refused', async () => {
  const taken = await bindUdpPort({ family: 4, host: '127.0.0.1' })
  const refused = (error: unknown): boolean =>
    error instanceof TorrentError && error.code === 'ERR_TRANSPORT_LISTEN'
  await assert.rejects(bindUdpPort({ family: 4, host: '127.0.0.1', port: taken.port }), refused)
  await assert.rejects(bindUdpPort({ family: 4, port: 70000 }), refused)
  await assert.rejects(bindUdpPort({ family: 6, host: '127.0.0.1' }), refused)
  await taken.close()
})

test('a claim is called once at the end of each turn in which it took datagrams', async () => {
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1' })
  const self = { host: '127.0.0.1', port: port.port }
  const calls: string[] = []
  let took = deferred<void>()
  let ended = deferred<void>()
  port.claim({
    firstBytes: [1],
    matches: () => true,
    receive: () => {
      calls.push('took')
      took.resolve()
    },
    onTurnEnd: () => {
      calls.push('end')
      ended.resolve()
    }
  })
  port.claim({
    firstBytes: [2],
    matches: () => true,
    receive: () => {},
    onTurnEnd: () => calls.push('never')
  })
  for (let round = 0; round < 2; round++) {
    took = deferred()
    ended = deferred()
    for (let n = 0; n < 5; n++) port.send(Uint8Array.of(1, n), self)
    await took.promise
    await ended.promise
  }
  // However the datagrams are spread over turns, each turn has some, and ends once.
  assert.match(calls.join(' '), /^(?:(?:took )+end ?)+$/)
  await port.close()
})

test('a fault at the end of a turn is a warning, and a released claim is not called', async () => {
  const warned = deferred<Error>()
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1', onWarning: warned.resolve })
  const self = { host: '127.0.0.1', port: port.port }
  const release = port.claim({
    firstBytes: [1],
    matches: () => true,
    receive: () => release(),
    onTurnEnd: () => assert.fail('it was released')
  })
  port.claim({
    firstBytes: [2],
    matches: () => true,
    receive: () => {},
    onTurnEnd: () => {
      throw new Error('broken end')
    }
  })
  port.send(Uint8Array.of(1), self)
  port.send(Uint8Array.of(2), self)
  assert.match((await warned.promise).message, /broken end/)
  await port.close()
})

test('nothing is queued while the system accepts it at once, nor after close', async () => {
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1' })
  assert.equal(port.bytesQueued, 0)
  const sent = new Promise<void>((resolve) => {
    port.claim({ matches: () => true, receive: () => resolve() })
  })
  port.send(new Uint8Array(1000), { host: '127.0.0.1', port: port.port })
  assert.ok((port.bytesQueued ?? -1) <= 1000)
  await sent
  assert.equal(port.bytesQueued, 0)
  await port.close()
  assert.equal(port.bytesQueued, 0)
})

test('a datagram to an invalid address is dropped without a warning', async () => {
  const warnings: Error[] = []
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1', onWarning: (error) => warnings.push(error) })
  const seen = deferred<void>()
  port.claim({ matches: () => true, receive: () => seen.resolve() })
  port.send(Uint8Array.of(1), { host: 'peer.example', port: 1 })
  port.send(Uint8Array.of(1), { host: '::1', port: 1 })
  port.send(Uint8Array.of(1), { host: '127.0.0.1', port: port.port })
  await seen.promise
  assert.deepEqual(warnings, [])
  await port.close()
})
