import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { announceTiers } from '../../lib/tracker/tiers.ts'
import type { TorrentError } from '../../lib/util/errors.ts'
import { until } from '../support/until.ts'
import { type HttpTracker, httpTracker } from './http-server.ts'
import { VirtualTimers } from './virtual-timers.ts'

const request = { infoHash: new Uint8Array(20).fill(1), peerId: new Uint8Array(20).fill(2), port: 6881 }
// Shuffles into the given order.
const random = (): number => 0

/** Trackers that work or fail as `works` says at the time. */
async function trackers(
  works: boolean[],
  body: (list: readonly HttpTracker[], urls: string[]) => Promise<void>
): Promise<void> {
  const list = await Promise.all(
    works.map((_, n) =>
      httpTracker((_request, response) => {
        if (works[n]) response.end(encode({ interval: 60, peers: Uint8Array.of(10, 0, 0, n, 0, 80) }))
        else response.writeHead(500).end()
      })
    )
  )
  try {
    await body(
      list,
      list.map(({ url }) => url)
    )
  } finally {
    for (const tracker of list) await tracker[Symbol.asyncDispose]()
  }
}

const heard = (list: readonly HttpTracker[]): string[] =>
  list.map(({ requests }) => requests.map(({ query }) => query.get('event') ?? 'again').join(' '))

test('the first working tracker of each tier is used, moves to the front, and the next one takes over', async () => {
  const works = [false, true, true, true]
  await trackers(works, async (list, [a = '', b = '', c = '', d = '']) => {
    const timers = new VirtualTimers()
    const announcement = announceTiers(
      [
        [a, b],
        [c, d]
      ],
      request,
      { timers, random }
    )
    const status = (): string[] => announcement.trackers.map(({ status }) => status)
    const asleep = (): Promise<unknown> =>
      until(
        'both tiers to plan a later announce',
        () => timers.size === 2 && announcement.trackers.filter((one) => one.nextAnnounceAt).length === 2
      )
    await asleep()
    assert.deepEqual(status(), ['failed', 'working', 'working', 'idle'])
    works[1] = works[2] = false
    works[0] = true
    timers.advance(60_000)
    await until('the second round', () => list[3]?.requests.length === 1 && list[0]?.requests.length === 2)
    await asleep()
    assert.deepEqual(status(), ['working', 'failed', 'failed', 'working'])
    assert.deepEqual(
      announcement.trackers.map(({ tier }) => tier),
      [0, 0, 1, 1]
    )
    announcement.completed()
    timers.advance(0)
    await until('the third round', () => list[3]?.requests.length === 2 && list[0]?.requests.length === 3)
    await asleep()
    await announcement.close()
    assert.deepEqual(heard(list), [
      'started started completed stopped',
      'started again stopped',
      'started again stopped',
      'started completed stopped'
    ])
    const hosts: string[] = []
    for await (const { host } of announcement) hosts.push(host)
    assert.deepEqual(hosts.sort().slice(0, 4), ['10.0.0.0', '10.0.0.0', '10.0.0.1', '10.0.0.2'])
    assert.equal(timers.size, 0)
  })
})

test('strict uses one tracker at a time, all uses each', async () => {
  await trackers([false, true, true], async (list, [a = '', b = '', c = '']) => {
    const strict = announceTiers([[a], [b, c]], request, { random, mode: 'strict' })
    for await (const { host } of strict) {
      assert.equal(host, '10.0.0.1')
      break
    }
    await strict.close()
    assert.deepEqual(heard(list), ['started', 'started stopped', ''])
    const all = announceTiers([[a], [b, c]], request, { random, mode: 'all' })
    const hosts = new Set<string>()
    for await (const { host } of all) if (hosts.add(host).size === 2) break
    await all.close()
    assert.deepEqual([...hosts].sort(), ['10.0.0.1', '10.0.0.2'])
    assert.equal(heard(list)[2], 'started stopped')
  })
})

test('a tier is shuffled by the given random source', async () => {
  await trackers([true, true, true], async (_list, urls) => {
    const order = (value: number): number[] => {
      const announcement = announceTiers([urls], request, { random: () => value })
      void announcement.close()
      return announcement.trackers.map(({ url }) => urls.indexOf(url))
    }
    assert.deepEqual(order(0), [0, 1, 2])
    assert.deepEqual(order(0.99), [2, 1, 0])
    assert.deepEqual(order(0.5), [1, 2, 0])
  })
})

test('unusable trackers are left out with one warning, and those beyond the limit with another', async () => {
  await trackers([true], async (list, [a = '']) => {
    const warnings: Error[] = []
    const odd = ['wss://x.example', 'http://', `${a}?port=1`, 'javascript:alert(1)\n']
    const tiers = [odd, [a, ` ${a}`], Array.from({ length: 200 }, (_, n) => `udp://127.0.0.1:${n + 1}`)]
    const announcement = announceTiers(tiers, request, {
      onWarning: (error) => warnings.push(error),
      mode: 'strict'
    })
    const [unsupported, beyond, ...more] = warnings
    assert.deepEqual(more, [])
    assert.match(unsupported?.message ?? '', /^4 trackers are not supported and left out: wss:\/\/x\.example/)
    assert.equal((beyond as TorrentError).code, 'ERR_TRACKER_LIMIT')
    assert.match(
      beyond?.message ?? '',
      /^101 trackers are beyond the first 100 and left out: udp:\/\/127\.0\.0\.1:100,/
    )
    assert.equal(announcement.trackers.length, 100)
    for await (const _ of announcement) break
    await announcement.close()
    assert.deepEqual(heard(list), ['started stopped'])
  })
})

test('the warning about one tracker is singular', async () => {
  let message = ''
  const announcement = announceTiers([['wss://x.example']], request, {
    onWarning: (error) => {
      message = error.message
    }
  })
  assert.equal(message, '1 tracker is not supported and left out: wss://x.example')
  await announcement.close()
})

test('without a tracker the iteration ends at once', async () => {
  for (const tiers of [[], [[]], [['wss://x']]]) {
    const announcement = announceTiers(tiers, request)
    for await (const _ of announcement) assert.fail()
    await announcement.close()
  }
})
