import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BencodeInput, encode } from '../../lib/bencode/encode.ts'
import { announce } from '../../lib/tracker/announce.ts'
import type { Announcement, AnnouncementOptions, AnnounceRequest } from '../../lib/tracker/announcement.ts'
import { TorrentError } from '../../lib/util/errors.ts'
import { collectUncaught } from '../support/uncaught.ts'
import { until } from '../support/until.ts'
import { type HttpTracker, httpTracker, replyWith } from './http-server.ts'
import { announceBody, politely, udpTracker } from './udp-server.ts'
import { VirtualTimers } from './virtual-timers.ts'

const request: AnnounceRequest = {
  infoHash: new Uint8Array(20).fill(1),
  peerId: new Uint8Array(20).fill(2),
  port: 6881
}
const peers = Uint8Array.of(10, 0, 0, 1, 0, 80, 10, 0, 0, 2, 0, 80)

interface Run {
  readonly tracker: HttpTracker
  readonly timers: VirtualTimers
  readonly announcement: Announcement
  readonly warnings: Error[]
  readonly replies: number
  /** Waits until the loop sleeps after `n` requests. */
  asleep(n: number): Promise<unknown>
  /** Returns the events that the tracker got. */
  events(): (string | undefined)[]
}

async function run(
  answer: (n: number) => BencodeInput | number,
  body: (run: Run) => Promise<void>,
  options: AnnouncementOptions = {},
  more: Partial<AnnounceRequest> = {}
): Promise<void> {
  const timers = new VirtualTimers()
  const warnings: Error[] = []
  let replies = 0
  await using tracker = await httpTracker((_request, response) => {
    const value = answer(tracker.requests.length)
    if (typeof value === 'number') response.writeHead(value).end()
    else response.end(encode(value))
  })
  const announcement = announce(
    tracker.url,
    { ...request, ...more },
    {
      timers,
      random: () => 0,
      onWarning: (error) => warnings.push(error),
      onResponse: () => replies++,
      ...options
    }
  )
  const [state] = announcement.trackers
  await body({
    tracker,
    timers,
    announcement,
    warnings,
    get replies() {
      return replies
    },
    asleep: (n) =>
      until(
        'a later announce to be planned',
        () => tracker.requests.length >= n && state?.nextAnnounceAt !== undefined
      ),
    events: () => tracker.requests.map(({ query }) => query.get('event'))
  })
  await announcement.close()
  assert.equal(timers.size, 0, 'no timer is left')
}

/** Announcements that the tracker's answer changes. */
const announcements: Announcement[] = []

test('yields peers, and leaving the loop sends stopped', async () => {
  await using tracker = await httpTracker(replyWith({ interval: 1800, peers }))
  const seen: string[] = []
  const announcement = announce(tracker.url, request)
  for await (const { host } of announcement) {
    if (seen.push(host) === 2) break
  }
  await announcement.close()
  assert.deepEqual(seen, ['10.0.0.1', '10.0.0.2'])
  assert.deepEqual(
    tracker.requests.map(({ query }) => [query.get('event'), query.get('left'), query.get('numwant')]),
    [
      ['started', '16384', '200'],
      ['stopped', '16384', '0']
    ]
  )
  assert.equal(new Set(tracker.requests.map(({ query }) => query.get('key'))).size, 1)
  assert.equal(announcement.trackers[0]?.status, 'stopped')
})

test('announces by its own timer, with current counters and the tracker id', async () => {
  let uploaded = 0
  await run(
    () => ({ interval: 900, peers: '', 'tracker id': 'T&1', complete: 7 }),
    async ({ tracker, timers, announcement, asleep, events }) => {
      await asleep(1)
      assert.equal(announcement.last?.complete, 7)
      const next = announcement.trackers[0]?.nextAnnounceAt ?? 0
      assert.ok(Math.abs(next - Date.now() - 900_000) < 60_000)
      uploaded = 5.5
      timers.advance(899_999)
      assert.equal(tracker.requests.length, 1)
      timers.advance(1)
      await asleep(2)
      assert.deepEqual(events(), ['started', undefined])
      const { query } = tracker.requests[1] ?? { query: new Map() }
      assert.deepEqual(
        [query.get('uploaded'), query.get('left'), query.get('trackerid')],
        ['5', '9007199254740991', 'T%261']
      )
      assert.deepEqual(query.get('downloaded'), '0')
    },
    {},
    { counters: () => ({ uploaded, downloaded: Number.NaN, left: Number.POSITIVE_INFINITY }) }
  )
})

const intervals: [BencodeInput | undefined, BencodeInput | undefined, number][] = [
  [undefined, undefined, 1_800_000],
  [0, undefined, 1_800_000],
  [-5, -5, 1_800_000],
  ['NaN', 'NaN', 1_800_000],
  [4294967295, 4294967295, 7_200_000],
  [2n ** 80n, undefined, 1_800_000],
  [1, 1, 60_000],
  [100, 300, 300_000],
  [100, undefined, 100_000]
]
for (const [interval, minimum, expected] of intervals) {
  test(`interval ${interval}, at least ${minimum}: next after ${expected} ms`, async () => {
    await run(
      () => ({ peers: '', interval, 'min interval': minimum }),
      async ({ timers, asleep }) => {
        await asleep(1)
        assert.equal(timers.nextMs, expected)
      }
    )
  })
}

test('announceNow keeps to the minimum interval', async () => {
  await run(
    () => ({ interval: 1800, 'min interval': 120, peers: '' }),
    async ({ tracker, timers, announcement, asleep }) => {
      announcement.announceNow()
      await asleep(1)
      timers.advance(20_000)
      announcement.announceNow()
      assert.equal(timers.nextMs, 100_000)
      timers.advance(100_000)
      await asleep(2)
      assert.equal(timers.nextMs, 1_800_000)
      timers.advance(500_000)
      announcement.announceNow()
      timers.advance(0)
      await asleep(3)
      assert.equal(tracker.requests.length, 3)
    }
  )
})

test('completed is sent at once, and once', async () => {
  await run(
    () => ({ interval: 1800, peers: '' }),
    async ({ timers, announcement, asleep, events }) => {
      await asleep(1)
      announcement.completed()
      announcement.completed()
      timers.advance(0)
      await asleep(2)
      timers.advance(1_800_000)
      await asleep(3)
      assert.deepEqual(events(), ['started', 'completed', undefined])
      await announcement.close()
      announcement.completed()
      announcement.announceNow()
      assert.deepEqual(events(), ['started', 'completed', undefined, 'stopped'])
    }
  )
})

test('completed before the first answer follows started', async () => {
  await run(
    (n) => (n === 2 ? 500 : { interval: 1800, peers: '' }),
    async ({ timers, announcement, asleep, events }) => {
      announcement.completed()
      await until('the answer', () => announcement.last !== undefined)
      await asleep(1)
      assert.equal(timers.nextMs, 0)
      timers.advance(0)
      await asleep(2)
      timers.advance(15_000)
      await asleep(3)
      assert.deepEqual(events(), ['started', 'completed', 'completed'])
    }
  )
})

test('a dead tracker is retried ever more rarely, and gets no stopped', async () => {
  await run(
    () => 503,
    async ({ timers, announcement, warnings, asleep, events }) => {
      const waits: number[] = []
      for (let n = 1; n <= 9; n++) {
        await asleep(n)
        waits.push(timers.nextMs / 1000)
        timers.advance(timers.nextMs)
      }
      await asleep(10)
      assert.deepEqual(waits, [15, 30, 60, 120, 240, 480, 960, 1200, 1200])
      assert.equal(warnings.length, 10)
      assert.equal(announcement.trackers[0]?.status, 'failed')
      assert.match(announcement.trackers[0]?.error?.message ?? '', /503/)
      announcement.announceNow()
      assert.equal(timers.nextMs, 15_000)
      await announcement.close()
      assert.deepEqual(new Set(events()), new Set(['started']))
    }
  )
})

test('the jitter keeps the longest wait, and a tracker that recovers starts afresh', async () => {
  await run(
    (n) =>
      n === 3
        ? { interval: 60, peers: '' }
        : { 'failure reason': 'busy', ...(n === 2 ? { 'retry in': 10 } : {}) },
    async ({ timers, asleep, events }) => {
      const waits: number[] = []
      for (let n = 1; n <= 4; n++) {
        await asleep(n)
        waits.push(timers.nextMs / 1000)
        timers.advance(timers.nextMs)
      }
      await asleep(5)
      assert.deepEqual(waits, [22.5, 600, 60, 22.5])
      assert.deepEqual(events(), ['started', 'started', 'started', undefined, undefined])
    },
    { random: () => 1 }
  )
})

test('close resolves although the tracker does not get the stopped', async () => {
  const timers = new VirtualTimers()
  await using tracker = await httpTracker((_request, response) => {
    if (tracker.requests.length === 1) response.end(encode({ interval: 60, peers: '' }))
  })
  const announcement = announce(tracker.url, request, { timers })
  await until('the answer and a timer', () => announcement.last !== undefined && timers.size === 1)
  const closed = announcement.close()
  await until('the second request', () => tracker.requests.length, { is: 2 })
  timers.advance(2_500)
  await closed
  assert.equal(timers.size, 0)
})

const lastWords: readonly (readonly [
  title: string,
  /** The change of the download, and the request before whose answer it comes; 0 is after all answers. */
  before: number,
  /** Indices of failing requests. */
  failing: readonly number[],
  heard: string
])[] = [
  ['after started', 0, [], 'started completed stopped'],
  ['during started', 1, [], 'started completed stopped'],
  ['during a started that fails', 1, [1], 'started'],
  ['and is not heard', 0, [2], 'started completed stopped']
]
for (const [title, before, failing, heard] of lastWords) {
  test(`close right after completed sends it before stopped: ${title}`, async () => {
    const waiting: (() => void)[] = []
    await using tracker = await httpTracker((_request, response) => {
      const n = tracker.requests.length
      const answer = (): void => {
        if (failing.includes(n)) response.writeHead(500).end()
        else response.end(encode({ interval: 900, peers: '' }))
      }
      if (n === before) waiting.push(answer)
      else answer()
    })
    const announcement = announce(tracker.url, request, { onWarning: () => {} })
    if (before === 0)
      await until('the tracker to answer', () => announcement.trackers[0]?.status, { is: 'working' })
    else await until('an announce', () => waiting.length)
    announcement.completed()
    const closed = announcement.close()
    for (const answer of waiting) answer()
    await closed
    assert.equal(tracker.requests.map(({ query }) => query.get('event')).join(' '), heard)
  })
}

test('a pending completed is sent once when the announcement closes', async () => {
  const waiting: (() => void)[] = []
  await using tracker = await httpTracker((_request, response) => {
    const answer = (): void => void response.end(encode({ interval: 900, peers: '' }))
    if (tracker.requests.length === 2) waiting.push(answer)
    else answer()
  })
  const announcement = announce(tracker.url, request)
  await until('the tracker to answer', () => announcement.trackers[0]?.status, { is: 'working' })
  announcement.completed()
  await until('an announce', () => waiting.length)
  const closed = announcement.close()
  waiting[0]?.()
  await closed
  assert.deepEqual(
    tracker.requests.map(({ query }) => query.get('event')),
    ['started', 'completed', 'stopped']
  )
})

test('a tracker that is silent upon completed delays the end for a bounded time', async () => {
  await using tracker = await httpTracker((_request, response) => {
    if (tracker.requests.length === 1) response.end(encode({ interval: 900, peers: '' }))
  })
  const timers = new VirtualTimers()
  const announcement = announce(tracker.url, request, { timers, stopTimeoutMs: 1000 })
  await until('the tracker to work', () => announcement.trackers[0]?.status === 'working')
  announcement.completed()
  let isClosed = false
  const closed = announcement.close().then(() => {
    isClosed = true
  })
  await until('the second request', () => tracker.requests.length, { is: 2 })
  timers.advance(1000)
  await until('the third request', () => tracker.requests.length, { is: 3 })
  assert.equal(isClosed, false)
  timers.advance(1000)
  await closed
  assert.deepEqual(
    tracker.requests.map(({ query }) => query.get('event')),
    ['started', 'completed', 'stopped']
  )
  assert.equal(timers.size, 0)
})

test('a UDP tracker gets completed before stopped too', async () => {
  await using tracker = await udpTracker()
  const announcement = announce(tracker.url, request)
  await until('the tracker to answer', () => announcement.trackers[0]?.status, { is: 'working' })
  announcement.completed()
  await announcement.close()
  const announces = tracker.requests.filter(({ action }) => action === 'announce')
  // The event is at byte 80 (BEP 15): 2 is started, 1 completed, 3 stopped.
  assert.deepEqual(
    announces.map(({ bytes }) => bytes.readUInt32BE(80)),
    [2, 1, 3]
  )
})

test('left = 0 is sent at once, and only to a tracker that was sent another value', async () => {
  let left = 5
  await run(
    () => ({ interval: 900, 'min interval': 900, peers: '' }),
    async ({ tracker, announcement, timers, asleep, events }) => {
      await asleep(1)
      announcement.nothingLeft()
      assert.equal(timers.nextMs, 900_000, 'something is left')
      left = 0
      announcement.nothingLeft()
      timers.advance(0)
      await asleep(2)
      announcement.nothingLeft()
      assert.equal(timers.nextMs, 900_000, 'it knows')
      left = 5
      timers.advance(900_000)
      await asleep(3)
      left = 0
      announcement.nothingLeft()
      timers.advance(0)
      await asleep(4)
      assert.equal(timers.nextMs, 900_000)
      assert.deepEqual(events(), ['started', undefined, undefined, undefined])
      assert.deepEqual(
        tracker.requests.map(({ query }) => query.get('left')),
        ['5', '0', '5', '0']
      )
    },
    {},
    { counters: () => ({ uploaded: 0, downloaded: 0, left }) }
  )
})

test('left = 0 follows a started with another value', async () => {
  let left = 5
  await run(
    (n) => {
      if (n > 1) return { interval: 900, peers: '' }
      left = 0
      announcements[0]?.nothingLeft()
      return { interval: 900, peers: '' }
    },
    async ({ tracker, announcement, timers, asleep }) => {
      announcements.push(announcement)
      await asleep(1)
      timers.advance(0)
      await asleep(2)
      assert.equal(timers.nextMs, 900_000)
      assert.deepEqual(
        tracker.requests.map(({ query }) => query.get('left')),
        ['5', '0']
      )
    },
    {},
    { counters: () => ({ uploaded: 0, downloaded: 0, left }) }
  )
})

test('close during the first request stops it, and sends nothing', async () => {
  await using tracker = await httpTracker(() => {})
  const timers = new VirtualTimers()
  const announcement = announce(tracker.url, request, { timers })
  await until('the first request', () => tracker.requests.length, { is: 1 })
  await announcement.close()
  for await (const _ of announcement) assert.fail()
  assert.equal(tracker.requests.length, 1)
  assert.equal(timers.size, 0)
})

test('a signal closes the announcement and leaves no listener', async () => {
  await using tracker = await httpTracker(replyWith({ interval: 60, peers }))
  const controller = new AbortController()
  const announcement = announce(tracker.url, request, { signal: controller.signal })
  let count = 0
  for await (const _ of announcement) if (++count === 2) controller.abort()
  await announcement.close()
  assert.equal(tracker.requests[1]?.query.get('event'), 'stopped')
  const late = announce(tracker.url, request, { signal: controller.signal })
  for await (const _ of late) assert.fail()
  await late.close()
  assert.equal(tracker.requests.length, 2)
})

test('our address from the tracker is known before its peers', async () => {
  const heard: string[] = []
  await run(
    () => ({ interval: 900, peers, 'external ip': Uint8Array.of(5, 6, 7, 8) }),
    async ({ announcement, tracker }) => {
      for await (const { host } of announcement) if (heard.push(host) === 3) break
      assert.deepEqual(heard, [`5.6.7.8 by ${tracker.url}`, '10.0.0.1', '10.0.0.2'])
    },
    { onExternalHost: (host, { url }) => heard.push(`${host} by ${url}`) }
  )
})

test('unread peers are bounded and the newest stay', async () => {
  const many = new Uint8Array(6 * 4096)
  await run(
    (n) => ({ interval: 60, peers: many.map((_, at) => (at % 6 === 0 ? n : 1)) }),
    async ({ timers, announcement, asleep }) => {
      await asleep(1)
      timers.advance(60_000)
      await asleep(2)
      await announcement.close()
      const hosts: string[] = []
      for await (const { host } of announcement) hosts.push(host)
      assert.equal(hosts.length, 4096)
      assert.deepEqual(new Set(hosts), new Set(['2.1.1.1']))
    }
  )
})

test('listeners and counters that throw do not end the loop', async (t) => {
  const uncaught = collectUncaught(t)
  await run(
    () => ({ interval: 60, peers: '' }),
    async ({ timers, asleep }) => {
      await asleep(1)
      timers.advance(60_000)
      await asleep(2)
    },
    {
      onResponse: () => {
        throw new Error('careless')
      }
    }
  )
  assert.match(String(uncaught), /careless/)
  const heard: string[] = []
  const broken = announce(
    'http://127.0.0.1:1/announce',
    {
      ...request,
      counters: () => {
        throw new Error('no counters')
      }
    },
    { onWarning: (error) => heard.push(error.message) }
  )
  await until('the warning', () => heard.length)
  await broken.close()
  assert.deepEqual(heard, ['no counters'])
})

test('works over UDP on a socket of its own', async () => {
  await using tracker = await udpTracker((request, n) => {
    if (n === 4) request.reply(1, announceBody(60, 0, 0, []))
    else politely(request)
  })
  const announcement = announce(tracker.url, request)
  for await (const peer of announcement) {
    assert.deepEqual(peer, { host: '10.0.0.1', port: 6881 })
    break
  }
  await announcement.close()
  const heard = tracker.requests.map(({ action, bytes }) =>
    action === 'announce' ? bytes.readInt32BE(80) : action
  )
  assert.deepEqual(heard, ['connect', 2, 3])
})

test('invalid arguments throw at once', () => {
  const url = 'http://127.0.0.1:1/announce'
  const refused: [Partial<AnnounceRequest>, RegExp][] = [
    [{ infoHash: new Uint8Array(32) }, /infoHash.* not 32/],
    [{ peerId: new Uint8Array(1) }, /peerId.* not 1/],
    [{ port: 65536 }, /port.* not 65536/],
    [{ port: Number.NaN }, /port.* not NaN/],
    [{ numwant: -1 }, /numwant.* not -1/],
    [{ key: 1.5 }, /key.* not 1.5/]
  ]
  for (const [part, message] of refused) {
    assert.throws(() => announce(url, { ...request, ...part }), { code: 'ERR_TRACKER_OPTION', message })
  }
  assert.throws(() => announce(url, request, { minIntervalMs: Number.NaN }), /minIntervalMs.* not NaN/)
  assert.throws(() => announce('wss://x', request), TorrentError)
})
