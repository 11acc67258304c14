import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { AnnouncePace } from '../../lib/tracker/announce-pace.ts'
import type { Announcement } from '../../lib/tracker/announcement.ts'
import { announceTiers, type TierOptions } from '../../lib/tracker/tiers.ts'
import { until } from '../support/until.ts'
import { type HttpTracker, httpTracker } from './http-server.ts'
import { connectionBody, udpTracker } from './udp-server.ts'
import { VirtualTimers } from './virtual-timers.ts'

const request = { infoHash: new Uint8Array(20).fill(1), peerId: new Uint8Array(20).fill(2), port: 6881 }

/** A tracker that answers on demand, and at once to `stopped`. */
interface SlowTracker extends HttpTracker {
  answer(lastByte: number): void
}

async function slowTracker(): Promise<SlowTracker> {
  const waiting: ((lastByte: number) => void)[] = []
  const tracker = await httpTracker((message, response) => {
    const answer = (lastByte: number): void =>
      void response.end(encode({ interval: 60, peers: Uint8Array.of(10, 0, 0, lastByte, 0, 80) }))
    if (message.url?.includes('event=stopped')) answer(0)
    else waiting.push(answer)
  })
  return Object.assign(tracker, { answer: (lastByte: number) => waiting.shift()?.(lastByte) })
}

const heard = (tracker: HttpTracker): string =>
  tracker.requests.map(({ query }) => query.get('event') ?? 'again').join(' ')

function start(
  tiers: readonly (readonly string[])[],
  timers: VirtualTimers,
  options: TierOptions = {}
): { announcement: Announcement; hosts: string[]; warnings: Error[] } {
  const warnings: Error[] = []
  const hosts: string[] = []
  const announcement = announceTiers(tiers, request, {
    timers,
    random: () => 0,
    onWarning: (warning) => warnings.push(warning),
    ...options
  })
  void (async () => {
    for await (const { host } of announcement) hosts.push(host)
  })()
  return { announcement, hosts, warnings }
}

const modes = ['one tier', 'two tiers, strictly'] as const
for (const mode of modes) {
  test(`${mode}: after 5 s of silence the next tracker is announced to as well, and both get stopped`, async () => {
    await using first = await slowTracker()
    await using second = await slowTracker()
    const timers = new VirtualTimers()
    const { announcement, hosts } =
      mode === 'one tier'
        ? start([[first.url, second.url]], timers)
        : start([[first.url], [second.url]], timers, { mode: 'strict' })
    await until('the first request to the first tracker', () => first.requests.length, { is: 1 })
    timers.advance(4_999)
    assert.equal(second.requests.length, 0)
    timers.advance(1)
    await until('the first request to the second tracker', () => second.requests.length, { is: 1 })
    second.answer(2)
    await until('the first host', () => hosts.length, { is: 1 })
    assert.deepEqual(
      announcement.trackers.map(({ status }) => status),
      ['announcing', 'working']
    )
    await announcement.close()
    assert.deepEqual([heard(first), heard(second)], ['started stopped', 'started stopped'])
    assert.equal(timers.size, 0)
  })
}

test('a late answer gives its peers, and the tracker that answered first is used again', async () => {
  await using first = await slowTracker()
  await using second = await slowTracker()
  const timers = new VirtualTimers()
  const { announcement, hosts, warnings } = start([[first.url, second.url]], timers)
  await until('the first request to the first tracker', () => first.requests.length, { is: 1 })
  timers.advance(5_000)
  await until('the first request to the second tracker', () => second.requests.length, { is: 1 })
  second.answer(2)
  await until('the first host', () => hosts.length, { is: 1 })
  timers.advance(9_000)
  first.answer(1)
  await until('both trackers to work', () =>
    announcement.trackers.every(({ status }) => status === 'working')
  )
  assert.deepEqual(hosts, ['10.0.0.2', '10.0.0.1'])
  timers.advance(60_000)
  await until('the second request to the second tracker', () => second.requests.length, { is: 2 })
  assert.equal(heard(second), 'started again')
  await announcement.close()
  assert.equal(heard(first), 'started stopped')
  assert.deepEqual(warnings, [])
})

test('a silent tracker keeps its full time, then fails, and gets no second request meanwhile', async () => {
  await using first = await slowTracker()
  await using second = await slowTracker()
  const timers = new VirtualTimers()
  const { announcement, hosts, warnings } = start([[first.url, second.url]], timers, {
    timeoutMs: 90_000,
    minIntervalMs: 1_000,
    maxIntervalMs: 20_000
  })
  await until('the first request to the first tracker', () => first.requests.length, { is: 1 })
  timers.advance(5_000)
  await until('the first request to the second tracker', () => second.requests.length, { is: 1 })
  second.answer(2)
  await until('the first host', () => hosts.length, { is: 1 })
  for (let n = 2; n <= 4; n++) {
    timers.advance(20_000)
    await until('the next request to the second tracker', () => second.requests.length, { is: n })
    second.answer(2)
    await until('the next host', () => hosts.length, { is: n })
  }
  assert.equal(heard(first), 'started')
  timers.advance(25_000)
  await until('the first warning', () => warnings.length, { is: 1 })
  assert.match(warnings[0]?.message ?? '', /no answer in 90000 ms/)
  await until('the fifth request to the second tracker', () => second.requests.length, { is: 5 })
  // A failed announce needs no `stopped`.
  await announcement.close()
  assert.equal(heard(first), 'started')
})

test('a UDP tracker that never answers is skipped after 5 s, and the end does not wait for it', async () => {
  await using silent = await udpTracker(() => {})
  await using good = await slowTracker()
  const timers = new VirtualTimers()
  const { announcement, hosts } = start([[silent.url, good.url]], timers)
  await until('the first request to the silent tracker', () => silent.requests.length, { is: 1 })
  timers.advance(5_000)
  await until('the first request to the good tracker', () => good.requests.length, { is: 1 })
  good.answer(2)
  await until('the first host', () => hosts.length, { is: 1 })
  await announcement.close()
  assert.equal(heard(good), 'started stopped')
  assert.equal(timers.size, 0)
})

test('a UDP tracker that falls silent upon started gets stopped', async () => {
  const events: number[] = []
  await using silent = await udpTracker((message) => {
    if (message.action === 'connect') message.reply(0, connectionBody(7n))
    else events.push(message.bytes.readInt32BE(80))
  })
  await using good = await slowTracker()
  const timers = new VirtualTimers()
  const { announcement, hosts } = start([[silent.url, good.url]], timers)
  await until('the first event', () => events.length, { is: 1 })
  timers.advance(5_000)
  await until('the first request to the good tracker', () => good.requests.length, { is: 1 })
  good.answer(2)
  await until('the first host', () => hosts.length, { is: 1 })
  const closed = announcement.close()
  await until('the completed event', () => events.includes(3))
  timers.advance(2_500)
  await closed
})

test('the end does not wait for a server that was never reached', async () => {
  const stuck = new Agent()
  stuck.createConnection = () => new Duplex({ read() {}, write() {} })
  await using good = await slowTracker()
  const timers = new VirtualTimers()
  const { announcement, hosts } = start([['http://127.0.0.1:1/announce', good.url]], timers, {
    agent: (url) => (url.port === '1' ? stuck : new Agent())
  })
  await until('a timer', () => timers.size > 0)
  timers.advance(5_000)
  await until('the first request to the good tracker', () => good.requests.length, { is: 1 })
  good.answer(2)
  await until('the first host', () => hosts.length, { is: 1 })
  await announcement.close()
  assert.equal(timers.size, 0)
})

test('waiting in the queue does not count as silence', async () => {
  await using first = await slowTracker()
  await using second = await slowTracker()
  const timers = new VirtualTimers()
  const pace = new AnnouncePace({ perSecond: 0.1, burst: 1, timers })
  await pace.turn(new AbortController().signal)
  const { announcement } = start([[first.url, second.url]], timers, { pace })
  timers.advance(9_999)
  timers.advance(1)
  await until('the first request to the first tracker', () => first.requests.length, { is: 1 })
  assert.equal(second.requests.length, 0)
  await announcement.close()
})

test('a tracker that fails is retried when it said, the others of its tier before', async () => {
  await using busy = await httpTracker((_request, response) => {
    response.end(encode({ 'failure reason': 'busy', interval: 300 }))
  })
  await using down = await httpTracker((_request, response) => void response.writeHead(500).end())
  const timers = new VirtualTimers()
  const { announcement } = start([[busy.url, down.url]], timers)
  const asleep = (n: number): Promise<unknown> =>
    until(
      'a later announce to be planned',
      () => down.requests.length === n && announcement.trackers.some((one) => one.nextAnnounceAt)
    )
  await asleep(1)
  const waits: number[] = []
  for (let n = 2; busy.requests.length === 1; n++) {
    waits.push(timers.nextMs / 1000)
    timers.advance(timers.nextMs)
    await asleep(n)
  }
  // 15 + 30 + 60 + 120 = 225 s are too early, 465 s are not.
  assert.deepEqual(waits, [15, 30, 60, 120, 240])
  await announcement.close()
})
