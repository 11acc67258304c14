import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { Connection, ConnectionHandler } from '../../lib/net/connection.ts'
import { ReadTurn } from '../../lib/net/read-turn.ts'
import { TcpTransport } from '../../lib/net/tcp.ts'
import { TcpConnection } from '../../lib/net/tcp-connection.ts'
import { deferred } from '../../lib/util/concurrency.ts'
import { TorrentError } from '../../lib/util/errors.ts'

function handlerOf(parts: Partial<ConnectionHandler>): ConnectionHandler {
  return { onReceive: () => true, onDrain: () => {}, onClose: () => {}, ...parts }
}

async function pair(transport: TcpTransport, host = '127.0.0.1'): Promise<[Connection, Connection]> {
  const accepted = deferred<Connection>()
  const listener = await transport.listen({
    host,
    port: 0,
    onConnection: (connection) => accepted.resolve(connection)
  })
  const dialled = await transport.dial({ host, port: listener.port })
  return [dialled, await accepted.promise]
}

function pattern(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, n) => (n * 31 + (n >> 8)) & 0xff))
}

for (const direction of ['dialled to accepted', 'accepted to dialled'] as const) {
  test(`bytes arrive complete, ${direction}, with pauses on the way`, async () => {
    const transport = new TcpTransport()
    const [dialled, accepted] = await pair(transport)
    const [from, to] = direction === 'dialled to accepted' ? [dialled, accepted] : [accepted, dialled]
    assert.equal(dialled.incoming, false)
    assert.equal(accepted.incoming, true)
    assert.equal(accepted.remote.host, '127.0.0.1')
    const sent = pattern(3_000_000)
    const received: Buffer[] = []
    let length = 0
    let resumes = 0
    const whole = deferred<void>()
    to.start(
      handlerOf({
        onReceive: (chunk) => {
          received.push(Buffer.from(chunk))
          length += chunk.length
          if (length === sent.length) whole.resolve()
          if (++resumes % 3 !== 0) return true
          setImmediate(() => to.resume())
          return false
        }
      })
    )
    let drained = deferred<void>()
    from.start(handlerOf({ onDrain: () => drained.resolve() }))
    for (let at = 0; at < sent.length; at += 50_000) {
      drained = deferred()
      const part = sent.subarray(at, at + 50_000)
      if (!from.write([part.subarray(0, 13), part.subarray(13)])) await drained.promise
    }
    await whole.promise
    assert.ok(Buffer.concat(received).equals(sent))
    await transport.close()
  })
}

test('a connection that is not started or paused reads nothing', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await pair(transport)
  dialled.start(handlerOf({}))
  dialled.write([Buffer.from('early')])
  await new Promise(setImmediate)
  const first = deferred<string>()
  accepted.start(
    handlerOf({ onReceive: (chunk) => first.resolve(Buffer.from(chunk).toString()) === undefined })
  )
  assert.equal(await first.promise, 'early')
  await transport.close()
})

test('a socket without shared memory works as well', async () => {
  const accepted = deferred<Connection>()
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    accepted.resolve(new TcpConnection(socket, { host: '127.0.0.1', port: 1 }, true))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const transport = new TcpTransport()
  const dialled = await transport.dial({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  const to = await accepted.promise
  const closed = deferred<void>()
  let length = 0
  to.start(
    handlerOf({
      onReceive: (chunk) => {
        length += chunk.length
        if (length === 1_000_000) to.close()
        setImmediate(() => to.resume())
        return false
      },
      onClose: () => closed.resolve()
    })
  )
  dialled.start(handlerOf({}))
  dialled.write([pattern(1_000_000)])
  await closed.promise
  server.close()
  await transport.close()
})

test('receiveLength bounds the bytes delivered at once', async () => {
  const transport = new TcpTransport()
  for (const connections of [await pair(transport), (await pair(transport)).reverse()]) {
    const [from, to] = connections
    assert.ok(from && to)
    to.receiveLength = 1000
    let total = 0
    let most = 0
    const whole = deferred<void>()
    to.start(
      handlerOf({
        onReceive: (chunk) => {
          // The buffer of the first read was chosen before.
          if (total > 0) most = Math.max(most, chunk.length)
          total += chunk.length
          if (total === 600_000) whole.resolve()
          return true
        }
      })
    )
    from.start(handlerOf({}))
    from.write([pattern(600_000)])
    await whole.promise
    assert.ok(most <= 1000, `${most}`)
  }
  await transport.close()
})

test('when one side closes, both are told once, and nothing comes after close', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await pair(transport)
  const calls: string[] = []
  const closed = [deferred<void>(), deferred<void>()]
  const reason = new Error('enough')
  dialled.start(
    handlerOf({
      onReceive: () => {
        calls.push('received')
        dialled.close(reason)
        dialled.close()
        return true
      },
      onClose: (error) => {
        calls.push(`dialled ${error?.message}`)
        closed[0]?.resolve()
      }
    })
  )
  accepted.start(
    handlerOf({
      onClose: (error) => {
        calls.push(`accepted ${error?.message}`)
        closed[1]?.resolve()
      }
    })
  )
  accepted.write([pattern(10)])
  await Promise.all(closed.map(({ promise }) => promise))
  assert.equal(accepted.write([pattern(1)]), true)
  accepted.close()
  await transport.close()
  assert.deepEqual(calls.sort(), ['accepted undefined', 'dialled enough', 'received'])
})

for (const direction of ['dialled to accepted', 'accepted to dialled'] as const) {
  for (const [what, headLength] of [
    ['its first byte', 1],
    ['what it has read', 30_000],
    ['nothing', 0]
  ] as const) {
    for (const wants of ['all', 'a pause']) {
      test(`a handler hands over ${what} to one that wants ${wants}, ${direction}, and no byte is lost`, async () => {
        const transport = new TcpTransport()
        const [dialled, accepted] = await pair(transport)
        const [from, to] = direction === 'dialled to accepted' ? [dialled, accepted] : [accepted, dialled]
        const sent = pattern(600_000)
        const received: Buffer[] = []
        let length = 0
        const whole = deferred<void>()
        const take = (chunk: Uint8Array): void => {
          received.push(Buffer.from(chunk))
          length += chunk.length
          if (length === sent.length) whole.resolve()
        }
        const next = handlerOf({
          onReceive: (chunk) => {
            take(chunk)
            if (wants === 'all') return true
            setImmediate(() => to.resume())
            return false
          }
        })
        let head = Buffer.alloc(0)
        let isOver = false
        to.start(
          handlerOf({
            onReceive: (chunk) => {
              assert.equal(isOver, false, 'the first handler gets nothing more')
              head = Buffer.concat([head, chunk])
              if (head.length < headLength) return true
              isOver = true
              if (headLength > 0) to.start(next, head)
              else {
                take(chunk)
                to.start(next)
              }
              return true
            }
          })
        )
        from.start(handlerOf({}))
        from.write([sent])
        await whole.promise
        assert.ok(Buffer.concat(received).equals(sent))
        await transport.close()
      })
    }
  }
}

test('a connection that died before its start reports so', async () => {
  const transport = new TcpTransport()
  const [dialled, accepted] = await pair(transport)
  accepted.close()
  const closed = deferred<void>()
  dialled.start(handlerOf({ onClose: () => closed.resolve() }))
  await closed.promise
  const again = deferred<void>()
  accepted.start(handlerOf({ onClose: () => again.resolve() }))
  await again.promise
  const further = deferred<void>()
  dialled.start(handlerOf({ onClose: () => further.resolve() }))
  await further.promise
  await transport.close()
})

test('a reset is passed on as an error', async () => {
  const transport = new TcpTransport()
  const accepted = deferred<net.Socket>()
  const server = net.createServer((socket) => accepted.resolve(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const dialled = await transport.dial({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  const closed = deferred<Error | undefined>()
  dialled.start(handlerOf({ onClose: (error) => closed.resolve(error) }))
  const socket = await accepted.promise
  socket.resetAndDestroy()
  assert.match(String(await closed.promise), /ECONNRESET/)
  server.close()
  await transport.close()
})

test('dialling a closed port, aborting, timing out and closing reject', async () => {
  const transport = new TcpTransport()
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  await assert.rejects(
    transport.dial({ host: '127.0.0.1', port }),
    (error) =>
      error instanceof TorrentError &&
      error.code === 'ERR_TRANSPORT_DIAL' &&
      /ECONNREFUSED/.test(error.message)
  )
  const address = { host: '127.0.0.1', port }
  await assert.rejects(transport.dial(address, { signal: AbortSignal.abort(new Error('no')) }), /^Error: no$/)
  const controller = new AbortController()
  const aborted = transport.dial(address, { signal: controller.signal })
  controller.abort(new Error('later'))
  await assert.rejects(aborted, /^Error: later$/)
  await assert.rejects(transport.dial(address, { timeoutMs: -1 }), /timeoutMs is -1/)
  await assert.rejects(transport.dial({ host: '127.0.0.1', port: 70000 }), { code: 'ERR_TRANSPORT_DIAL' })
  const closing = transport.dial(address)
  await Promise.all([transport.close(), assert.rejects(closing, { code: 'ERR_TRANSPORT_DIAL' })])
  await assert.rejects(transport.dial(address), { code: 'ERR_TRANSPORT_DIAL' })
  await assert.rejects(transport.listen({ port: 0, onConnection: () => {} }), {
    code: 'ERR_TRANSPORT_LISTEN'
  })
})

test('an unanswered dial times out', async () => {
  const transport = new TcpTransport()
  const listener = await transport.listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (connection) => connection.close()
  })
  const dial = transport.dial({ host: '127.0.0.1', port: listener.port }, { timeoutMs: 1 })
  // Timers run before sockets, so the dial times out before the answer is seen.
  const until = performance.now() + 5
  while (performance.now() < until);
  await assert.rejects(dial, { code: 'ERR_TRANSPORT_TIMEOUT' })
  await transport.close()
})

test('a port that is taken, out of range or at no address of this machine is refused', async () => {
  const transport = new TcpTransport()
  const first = await transport.listen({ host: '127.0.0.1', port: 0, onConnection: () => {} })
  const listen = (host: string, port: number): Promise<unknown> =>
    transport.listen({ host, port, onConnection: () => {} })
  await assert.rejects(listen('127.0.0.1', first.port), { code: 'ERR_TRANSPORT_LISTEN' })
  await assert.rejects(listen('127.0.0.1', -1), /port is -1/)
  await assert.rejects(listen('192.0.2.1', 0), { code: 'ERR_TRANSPORT_LISTEN' })
  await first.close()
  await first.close()
  await transport.close()
})

test('without a host both families are listened on', async () => {
  const transport = new TcpTransport()
  const remotes: string[] = []
  const listener = await transport.listen({
    port: 0,
    onConnection: (connection) => {
      remotes.push(connection.remote.host)
      connection.close()
    }
  })
  const hosts = listener.host === '::' ? ['127.0.0.1', '::1'] : ['127.0.0.1']
  for (const host of hosts) {
    const closed = deferred<void>()
    const connection = await transport.dial({ host, port: listener.port })
    connection.start(handlerOf({ onClose: () => closed.resolve() }))
    await closed.promise
  }
  assert.deepEqual(remotes, hosts)
  await transport.close()
})

test('a listener closes while its connections continue, and a faulty callback is a warning', async () => {
  const transport = new TcpTransport()
  const accepted: Connection[] = []
  const warning = deferred<Error>()
  const listener = await transport.listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (connection) => {
      if (accepted.length > 0) throw new Error('not this one')
      accepted.push(connection)
    },
    onWarning: (error) => warning.resolve(error)
  })
  const dialled = await transport.dial({ host: '127.0.0.1', port: listener.port })
  const refused = await transport.dial({ host: '127.0.0.1', port: listener.port })
  refused.start(handlerOf({}))
  assert.match(String(await warning.promise), /not this one/)
  await listener.close()
  const echo = deferred<string>()
  accepted[0]?.start(handlerOf({}))
  dialled.start(
    handlerOf({ onReceive: (chunk) => echo.resolve(Buffer.from(chunk).toString()) === undefined })
  )
  accepted[0]?.write([Buffer.from('still here')])
  assert.equal(await echo.promise, 'still here')
  await transport.close()
  assert.deepEqual(
    process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCP')),
    []
  )
})

test('the bytes read by all connections in a turn of the event loop are bounded, and the rest continue in the next', async () => {
  const turn = new ReadTurn(1000)
  const told: string[] = []
  const reader = (name: string): { goOn(): void } => ({ goOn: () => told.push(name) })
  assert.equal(turn.take(600, reader('a')), true)
  assert.equal(turn.take(600, reader('b')), false)
  assert.equal(turn.take(1, reader('c')), false)
  assert.deepEqual(told, [])
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(told, ['b', 'c'])
  assert.equal(turn.take(600, reader('a')), true)
})

test('other work runs while fast peers send', async () => {
  const transport = new TcpTransport()
  const pairs = await Promise.all([1, 2, 3, 4].map(() => pair(transport)))
  const part = new Uint8Array(8 << 20)
  let received = 0
  let inTurn = 0
  let most = 0
  let running = true
  const whole = deferred<void>()
  for (const [from, to] of pairs) {
    to.start(
      handlerOf({
        onReceive: (chunk) => {
          received += chunk.length
          inTurn += chunk.length
          if (received === pairs.length * part.length) whole.resolve()
          return true
        }
      })
    )
    from.start(handlerOf({}))
    from.write([part])
  }
  const look = (): void => {
    most = Math.max(most, inTurn)
    inTurn = 0
    if (running) setImmediate(look)
  }
  look()
  await whole.promise
  running = false
  assert.ok(most <= (4 << 20) + pairs.length * (256 << 10), `${most} bytes in one turn`)
  await transport.close()
})
