import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { test } from 'node:test'
import type { DatagramClaim, DatagramPort } from '../../lib/net/datagram-port.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import type { AnnounceParameters } from '../../lib/tracker/request.ts'
import { UdpTrackerClient } from '../../lib/tracker/udp-tracker-client.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { turns } from '../support/turns.ts'
import { until } from '../support/until.ts'
import {
  announceBody,
  connectionBody,
  goodConnectionId,
  politely,
  type UdpRequest,
  udpTracker,
  words
} from './udp-server.ts'
import { VirtualTimers } from './virtual-timers.ts'

const parameters: AnnounceParameters = {
  infoHash: new Uint8Array(20).fill(0xab),
  peerId: new Uint8Array(20).fill(0xcd),
  port: 6881,
  uploaded: 1,
  downloaded: 2,
  left: 2 ** 40,
  key: 0xfedcba98,
  numwant: 50,
  event: 'started'
}
const code =
  (expected: string, pattern = /./) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof TorrentError, String(error))
    assert.equal(error.code, expected)
    assert.match(error.message, pattern)
    return true
  }

test('connects, announces every field, and reads the peers', async () => {
  await using tracker = await udpTracker()
  const client = new UdpTrackerClient()
  const reply = await client.announce(new URL(`${tracker.url}?pass=1`), parameters)
  assert.deepEqual(reply.peers, [{ host: '10.0.0.1', port: 6881 }])
  assert.deepEqual([reply.intervalMs, reply.incomplete, reply.complete], [1_800_000, 3, 5])
  const [connect, announce] = tracker.requests
  assert.equal(connect?.connectionId, 0x41727101980n)
  assert.equal(announce?.connectionId, goodConnectionId)
  const { bytes } = announce
  assert.deepEqual(bytes.subarray(16, 56), Buffer.concat([parameters.infoHash, parameters.peerId]))
  assert.deepEqual(
    [bytes.readBigUInt64BE(56), bytes.readBigUInt64BE(64), bytes.readBigUInt64BE(72)],
    [2n, 2n ** 40n, 1n]
  )
  assert.deepEqual(
    [bytes.readUInt32BE(80), bytes.readUInt32BE(88), bytes.readInt32BE(92)],
    [2, 0xfedcba98, 50]
  )
  assert.equal(bytes.readUInt16BE(96), 6881)
  assert.equal(bytes.subarray(98).toString(), '\x02\x10/announce?pass=1')
  await client.close()
  await client.close()
})

test('a connection id is used for a minute and not longer', async () => {
  await using tracker = await udpTracker()
  const timers = new VirtualTimers()
  const client = new UdpTrackerClient({ timers })
  const actions = async (): Promise<string> => {
    await client.announce(new URL(tracker.url), parameters)
    return tracker.requests
      .splice(0)
      .map(({ action }) => action)
      .join(' ')
  }
  assert.equal(await actions(), 'connect announce')
  timers.advance(59_000)
  assert.equal(await actions(), 'announce')
  timers.advance(2_000)
  assert.equal(await actions(), 'connect announce')
  await client.close()
  assert.equal(timers.size, 0)
})

test('a lost packet is sent again after 15 s, then 30 s', async () => {
  await using tracker = await udpTracker((request, n) => {
    if (n === 3 || n > 4) politely(request)
  })
  const timers = new VirtualTimers()
  const client = new UdpTrackerClient({ timers })
  const replied = client.announce(new URL(tracker.url), parameters)
  await tracker.request(1)
  timers.advance(14_999)
  assert.equal(tracker.requests.length, 1)
  timers.advance(1)
  await tracker.request(2)
  timers.advance(30_000)
  await tracker.request(4)
  timers.advance(60_000)
  assert.equal((await replied).peers.length, 1)
  const sent = tracker.requests.map(({ action, transactionId }) => `${action} ${transactionId}`)
  assert.equal(new Set(sent.slice(0, 3)).size, 1)
  // The connection id expired during the wait of 60 s.
  assert.deepEqual(
    sent.map((text) => text.split(' ')[0]),
    ['connect', 'connect', 'connect', 'announce', 'connect', 'announce']
  )
  await client.close()
})

test('a silent tracker times out after the given schedule', async () => {
  await using tracker = await udpTracker(() => {})
  const timers = new VirtualTimers()
  const client = new UdpTrackerClient({ timers })
  const schedule = { firstTimeoutMs: 100, retries: 2 }
  const failed = assert.rejects(
    client.announce(new URL(tracker.url), parameters, { schedule }),
    code('ERR_TRACKER_TIMEOUT')
  )
  for (const [n, wait] of [100, 200, 400].entries()) {
    await tracker.request(n + 1)
    timers.advance(wait)
  }
  await failed
  assert.equal(timers.size, 0)
  await client.close()
})

test('answers with another transaction id, or from elsewhere, do not count', async () => {
  const spoofer = createSocket('udp4')
  await new Promise<void>((resolve) => spoofer.bind(0, '127.0.0.1', resolve))
  await using tracker = await udpTracker((request) => {
    if (request.action === 'connect') {
      request.reply(0, connectionBody(1n), { transactionId: request.transactionId ^ 1 })
      request.reply(0, connectionBody(2n), { from: spoofer })
      request.reply(3, Buffer.from('spoofed'), { from: spoofer })
      void turns().then(() => request.reply(0, connectionBody(3n)))
    } else politely(request)
  })
  const client = new UdpTrackerClient()
  await client.announce(new URL(tracker.url), parameters)
  assert.equal(tracker.requests[1]?.connectionId, 3n)
  await client.close()
  spoofer.close()
})

const garbage: [string, (connect: boolean) => [number, Uint8Array], string, RegExp][] = [
  ['an error', () => [3, Buffer.from('go\x1b[31m away\0')], 'ERR_TRACKER_FAILURE', /refused: go \[31m away$/],
  ['an error without words', () => [3, Buffer.alloc(0)], 'ERR_TRACKER_FAILURE', /no reason given/],
  ['a short connect', () => [0, Buffer.alloc(4)], 'ERR_TRACKER_RESPONSE', /12 bytes/],
  ['another action', () => [2, Buffer.alloc(40)], 'ERR_TRACKER_RESPONSE', /action 2 instead of 0/],
  [
    'a short announce',
    (connect) => (connect ? [0, connectionBody(1n)] : [1, words(1)]),
    'ERR_TRACKER_RESPONSE',
    /12 bytes/
  ]
]
for (const [title, answer, expected, pattern] of garbage) {
  test(`${title} fails the announce`, async () => {
    await using tracker = await udpTracker((request) =>
      request.reply(...answer(request.action === 'connect'))
    )
    const client = new UdpTrackerClient()
    await assert.rejects(client.announce(new URL(tracker.url), parameters), code(expected, pattern))
    await client.close()
  })
}

test('a tracker that forgot the connection id gets a new connect', async () => {
  let current = 1n
  await using tracker = await udpTracker((request) => {
    if (request.action === 'connect') request.reply(0, connectionBody(current))
    else if (request.connectionId === current) request.reply(1, announceBody(60, 0, 0, []))
    else request.reply(3, Buffer.from('Connection ID mismatch'))
  })
  const client = new UdpTrackerClient()
  await client.announce(new URL(tracker.url), parameters)
  current = 2n
  await client.announce(new URL(tracker.url), parameters)
  assert.deepEqual(
    tracker.requests.map(({ connectionId }) => connectionId),
    [0x41727101980n, 1n, 1n, 0x41727101980n, 2n]
  )
  await client.close()
})

test('IPv6 trackers answer with IPv6 peers', async () => {
  const peer = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80]
  await using tracker = await udpTracker((request) => {
    if (request.action === 'connect') politely(request)
    else request.reply(1, announceBody(60, 0, 1, peer))
  }, '::1')
  const client = new UdpTrackerClient()
  const reply = await client.announce(new URL(tracker.url), { ...parameters, numwant: 200 })
  assert.deepEqual(reply.peers, [{ host: '2001:db8::9', port: 80 }])
  assert.equal(tracker.requests[1]?.bytes.readInt32BE(92), 66)
  await client.close()
})

test('both families of a host get announces, and their peers are merged', async () => {
  const six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80]
  await using v4 = await udpTracker()
  const heard: number[] = []
  const answer = (request: UdpRequest): void => {
    if (request.action === 'connect') politely(request)
    else
      void until('the other family', () => heard.length).then(() =>
        request.reply(1, announceBody(60, 0, 1, six))
      )
  }
  await using v6 = await udpTracker(answer, '::1', v4.port)
  const client = new UdpTrackerClient()
  const reply = await client.announce(new URL(`udp://tracker.example:${v6.port}`), parameters, {
    lookup: async () => ['::1', '127.0.0.1'],
    onReply: ({ peers }) => heard.push(peers.length)
  })
  assert.deepEqual(reply.peers.map(({ host }) => host).sort(), ['10.0.0.1', '2001:db8::9'])
  assert.deepEqual(heard, [1, 1])
  await client.close()
})

test('a family that is a black hole costs five seconds at most', async () => {
  await using tracker = await udpTracker()
  const timers = new VirtualTimers()
  await using hole = await udpTracker(() => {}, '::1', tracker.port)
  const client = new UdpTrackerClient({ timers })
  let heard = false
  const replied = client.announce(new URL(`udp://both.example:${tracker.port}`), parameters, {
    lookup: async () => ['127.0.0.1', '::1'],
    onReply: () => {
      heard = true
    }
  })
  await until('the request and two timers', () => heard && timers.size === 2)
  timers.advance(5_000)
  assert.equal((await replied).peers.length, 1)
  assert.equal(timers.size, 0)
  assert.ok(hole.requests.length > 0)
  await client.close()
})

test('shared ports are used and stay open; a family without a port is left out', async () => {
  await using tracker = await udpTracker()
  const port = await bindUdpPort({ family: 4, host: '127.0.0.1' })
  const client = new UdpTrackerClient({ ports: [port] })
  await client.announce(new URL(tracker.url), parameters)
  const url = new URL(`udp://[::1]:${tracker.port}`)
  await assert.rejects(
    client.announce(url, parameters),
    code('ERR_TRACKER_NETWORK', /no address that this client can reach: only IPv4 can be used$/)
  )
  await client.close()
  await assert.rejects(
    client.announce(new URL(tracker.url), parameters),
    code('ERR_TRACKER_NETWORK', /closed/)
  )
  const echoed = new Promise<void>((resolve) => port.claim({ matches: () => true, receive: () => resolve() }))
  port.send(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0), { host: '127.0.0.1', port: port.port })
  await echoed
  await port.close()
  const again = new UdpTrackerClient({ ports: [port] })
  await assert.rejects(
    again.announce(new URL(tracker.url), parameters),
    code('ERR_TRACKER_NETWORK', /cannot be reached/)
  )
  await again.close()
})

for (const [host, ...taken] of [
  ['9.9.9.9', '8.8.8.8'],
  ['10.0.0.1', '8.8.8.8', '169.254.169.254'],
  ['127.0.0.1', '8.8.8.8', '169.254.169.254', '127.0.0.1']
] as const) {
  test(`a tracker on ${host}, by any name, names no peer that is nearer`, async () => {
    const peers = ['8.8.8.8', '169.254.169.254', '127.0.0.1'].flatMap((peer) => [
      ...peer.split('.').map(Number),
      0,
      80
    ])
    let claim: DatagramClaim | undefined
    const port: DatagramPort = {
      family: 4,
      port: 1,
      send: (message, to) => {
        const bytes = Buffer.from(message)
        const isConnect = bytes.readUInt32BE(8) === 0
        const body = isConnect ? connectionBody(goodConnectionId) : announceBody(900, 0, 1, peers)
        claim?.receive(Buffer.concat([words(isConnect ? 0 : 1, bytes.readInt32BE(12)), body]), to)
      },
      claim: (one) => {
        claim = one
        return () => {}
      },
      close: async () => {}
    }
    const client = new UdpTrackerClient({ ports: [port] })
    const url = new URL('udp://tracker.example:80')
    const reply = await client.announce(url, parameters, { lookup: async () => [host] })
    assert.deepEqual(
      reply.peers.map((peer) => peer.host),
      taken
    )
    await client.close()
  })
}

test('a signal ends a request at once, and so does close', async () => {
  await using tracker = await udpTracker(() => {})
  const client = new UdpTrackerClient()
  const controller = new AbortController()
  const aborted = client.announce(new URL(tracker.url), parameters, { signal: controller.signal })
  const closed = client.scrape(new URL(tracker.url), [parameters.infoHash])
  await tracker.request(2)
  controller.abort(new Error('enough'))
  await assert.rejects(aborted, /enough/)
  await assert.rejects(
    client.announce(new URL(tracker.url), parameters, { signal: controller.signal }),
    /enough/
  )
  const failed = assert.rejects(closed, code('ERR_TRACKER_NETWORK', /closed/))
  await client.close()
  await failed
})

test('a name without an address fails, and one that hangs times out', async () => {
  const timers = new VirtualTimers()
  const client = new UdpTrackerClient({ timers })
  const url = new URL('udp://name.example:1')
  const nothing = async (): Promise<string[]> => []
  await assert.rejects(
    client.announce(url, parameters, { lookup: nothing }),
    code('ERR_TRACKER_NETWORK', /no address/)
  )
  const broken = async (): Promise<string[]> => Promise.reject(new Error('broken'))
  await assert.rejects(
    client.announce(url, parameters, { lookup: broken }),
    code('ERR_TRACKER_NETWORK', /resolved/)
  )
  const hanging = assert.rejects(
    client.announce(url, parameters, { lookup: () => new Promise(() => {}) }),
    code('ERR_TRACKER_TIMEOUT', /resolve/)
  )
  timers.advance(20_000)
  await hanging
  const controller = new AbortController()
  const options = { lookup: () => new Promise<string[]>(() => {}), signal: controller.signal }
  const aborted = assert.rejects(client.announce(url, parameters, options), /away/)
  controller.abort(new Error('away'))
  await aborted
  assert.equal(timers.size, 0)
  await client.close()
})
