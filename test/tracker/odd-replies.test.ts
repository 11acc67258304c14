import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { Network } from '../../lib/net/network.ts'
import { announce } from '../../lib/tracker/announce.ts'
import { type HttpAnnounceOptions, httpAnnounce } from '../../lib/tracker/http-tracker.ts'
import type { AnnounceParameters, TrackerReply } from '../../lib/tracker/request.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { goodReply, type OddReply, oddReplies } from './odd-replies.ts'

const who = { infoHash: new Uint8Array(20).fill(1), peerId: new Uint8Array(20).fill(2), port: 6881 }
const parameters: AnnounceParameters = { ...who, uploaded: 0, downloaded: 0, left: 1, key: 1, numwant: 50 }

interface RawServer extends AsyncDisposable {
  readonly origin: string
}

/** A server that answers with raw bytes, by path, and closes. */
async function rawServer(answer: (path: string) => Buffer): Promise<RawServer> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    let head = ''
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      head += chunk.toString('latin1')
      if (head.includes('\r\n\r\n')) socket.end(answer(/^GET (\S+?)(?:\?| )/.exec(head)?.[1] ?? ''))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

function serve(replies: readonly OddReply[]): Promise<RawServer> {
  return rawServer((path) => {
    const index = /^\/odd\/(\d+)\/announce$/.exec(path)?.[1]
    return index === undefined ? goodReply : (replies[Number(index)]?.bytes ?? goodReply)
  })
}

async function judge(url: string, reply: OddReply, options: HttpAnnounceOptions = {}): Promise<void> {
  const warnings: TorrentError[] = []
  let result: TrackerReply | unknown
  try {
    result = await httpAnnounce(new Network().http, new URL(url), parameters, {
      // Redirects on loopback are for URLs of the program.
      trust: 'program',
      ...options,
      timeoutMs: 5_000,
      onOddReply: (warning) => warnings.push(warning)
    })
  } catch (error) {
    result = error
  }
  const { title, verdict } = reply
  if ('code' in verdict) {
    assert.ok(result instanceof TorrentError, `${title}: ${JSON.stringify(result)}`)
    assert.equal(result.code, verdict.code, `${title}: ${result.message}`)
    assert.match(result.message, verdict.message, title)
    assert.equal(result.details['retryInMs'], verdict.retryInMs, title)
    return
  }
  if (result instanceof Error) assert.fail(`${title}: ${result.message}`)
  const { peers, intervalMs } = result as TrackerReply
  assert.deepEqual(
    peers.map(({ host, port }) => `${host}:${port}`),
    verdict.peers,
    title
  )
  assert.equal(intervalMs, verdict.intervalMs, title)
  assert.equal(warnings.length, verdict.warns === undefined ? 0 : 1, `${title}: ${warnings.join()}`)
  const [warning] = warnings
  if (warning === undefined || verdict.warns === undefined) return
  assert.equal(warning.code, 'ERR_TRACKER_RESPONSE', title)
  assert.match(warning.message, verdict.warns, title)
}

test('there are 101 odd replies with distinct titles', () => {
  assert.equal(new Set(oddReplies.map(({ title }) => title)).size, 101)
})

test('the usable part of each odd reply is used', async (t) => {
  await using server = await serve(oddReplies)
  for (const [index, reply] of oddReplies.entries()) {
    await t.test(reply.title, () => judge(`${server.origin}/odd/${index}/announce`, reply))
  }
})

test('connections of a caller’s agent are read as leniently as Node can', async () => {
  const titles = new Set([
    'the usual answer',
    'line feeds alone',
    'a control character in a header',
    'chunks and a length',
    'chunks without the last one',
    'a length that is too long',
    'a cookie of 20 kB',
    'a redirect by status 300'
  ])
  const replies = oddReplies.filter(({ title }) => titles.has(title))
  assert.equal(replies.length, titles.size)
  await using server = await serve(replies)
  for (const [index, reply] of replies.entries()) {
    await judge(`${server.origin}/odd/${index}/announce`, reply, { agent: () => new Agent() })
  }
})

test('a server that keeps its connections open delays nothing, and its connection is closed', async () => {
  let closed = (): void => {}
  const gone = new Promise<void>((resolve) => {
    closed = resolve
  })
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('close', closed)
    socket.once('data', () => socket.write(goodReply))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`)
  const reply = await httpAnnounce(new Network().http, url, parameters, { timeoutMs: 5_000 })
  assert.equal(reply.peers.length, 1)
  await gone
  await new Promise((resolve) => server.close(resolve))
})

test('a complete answer counts although its connection then falls silent, a partial one does not', async () => {
  for (const [left, expected] of [
    [0, undefined],
    [5, 'ERR_TRACKER_TIMEOUT']
  ] as const) {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        const text = goodReply
          .toString('latin1')
          .replace(/Content-Length: .*\r\n/, 'Content-Length: 1000\r\n')
        socket.write(Buffer.from(text, 'latin1').subarray(0, text.length - left))
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`)
    const result = await httpAnnounce(new Network().http, url, parameters, { idleTimeoutMs: 30 }).catch(
      (error: unknown) => error
    )
    assert.equal(result instanceof TorrentError ? result.code : undefined, expected)
    await new Promise((resolve) => server.close(resolve))
  }
})

test('an announcement warns once of a tracker with odd answers, and uses them', async () => {
  const odd = oddReplies.find(({ title }) => title === 'a peer that is text among others')
  assert.ok(odd)
  await using server = await serve([odd])
  const warnings: Error[] = []
  const announcement = announce(`${server.origin}/odd/0/announce`, who, {
    minIntervalMs: 0,
    maxIntervalMs: 1,
    onWarning: (warning) => warnings.push(warning)
  })
  let named = 0
  for await (const { port } of announcement) {
    assert.equal(port, 6881)
    if (++named === 3) break
  }
  assert.deepEqual(
    warnings.map(({ message }) => message.replace(/:\d+:/, ':')),
    ['http://127.0.0.1: only a part of the answer is used: 1 of 2 peers have no usable address']
  )
})
