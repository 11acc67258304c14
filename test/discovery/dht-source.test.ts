import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { DhtSource, type DhtSourceOptions } from '../../lib/discovery/dht-source.ts'
import { type DhtMember, LookupScheduler } from '../../lib/discovery/lookup-scheduler.ts'
import type { PeerAddress } from '../../lib/util/address.ts'
import type { Timers } from '../../lib/util/timers.ts'

/** Virtual time. */
class FakeTime implements Timers {
  #now = 0
  #alarms: { at: number; callback: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(delayMs: number, callback: () => void): () => void {
    const alarm = { at: this.#now + delayMs, callback }
    this.#alarms.push(alarm)
    return () => {
      this.#alarms = this.#alarms.filter((one) => one !== alarm)
    }
  }

  get pending(): number {
    return this.#alarms.length
  }

  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      for (let turn = 0; turn < 5; turn++) await setImmediate()
      const [next] = this.#alarms.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#now = Math.max(this.#now, next.at)
      this.#alarms = this.#alarms.filter((one) => one !== next)
      next.callback()
    }
    this.#now = end
  }
}

interface Announced {
  readonly at: number
  readonly port: number
  readonly seed: boolean | undefined
}

class FakeDht {
  readonly announced: Announced[] = []
  readonly lookups: number[] = []
  told = 8
  found: PeerAddress[] = [{ host: '192.0.2.1', port: 1 }]
  readonly #time: FakeTime
  readonly signals: (AbortSignal | undefined)[] = []
  hangs = false

  constructor(time: FakeTime) {
    this.#time = time
  }

  connected(): Promise<void> {
    return Promise.resolve()
  }

  async announce(
    _infoHash: Uint8Array | string,
    port: number,
    { seed, onPeer, signal }: Parameters<DhtSourceOptions['dht']['announce']>[2] = {}
  ): Promise<number> {
    this.announced.push({ at: this.#time.now(), port, seed })
    this.signals.push(signal)
    for (const peer of this.found) onPeer?.(peer)
    if (this.hangs)
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
    return this.told
  }

  async *peers(): AsyncGenerator<PeerAddress, void, void> {
    this.lookups.push(this.#time.now())
    yield* this.found
  }
}

function setUp(options: Partial<DhtSourceOptions> = {}) {
  const time = new FakeTime()
  const dht = new FakeDht(time)
  const source = new DhtSource({
    dht: dht as unknown as DhtSourceOptions['dht'],
    scheduler: new LookupScheduler({ timers: time }),
    infoHash: new Uint8Array(20),
    port: () => 6881,
    isSeed: () => false,
    isHungry: () => false,
    random: () => 0.5,
    ...options
  })
  return { time, dht, source }
}

const minute = 60_000

test('peers come at once and every 15 minutes, and leaving ends it', async () => {
  let seed = false
  const { time, dht, source } = setUp({ isSeed: () => seed })
  const iterator = source[Symbol.asyncIterator]()
  assert.deepEqual((await iterator.next()).value, { host: '192.0.2.1', port: 1 })
  seed = true
  await time.pass(46 * minute)
  assert.deepEqual(
    dht.announced.map(({ at, port, seed: isSeed }) => [at / minute, port, isSeed]),
    [
      [0, 6881, false],
      [15, 6881, true],
      [30, 6881, true],
      [45, 6881, true]
    ]
  )
  await iterator.return?.()
  assert.equal((await iterator.next()).done, true)
  await time.pass(minute)
  assert.equal(time.pending, 0)
  await time.pass(60 * minute)
  assert.equal(dht.announced.length, 4)
})

test('another port is announced at once, also if it changes while a look-up runs', async () => {
  const time = new FakeTime()
  const scheduler = new LookupScheduler({ timers: time })
  let port = 1
  const { dht, source } = setUp({ scheduler, port: () => port })
  await time.pass(minute)
  port = 2
  scheduler.wakeAll()
  await time.pass(minute)
  assert.deepEqual(
    dht.announced.map((one) => one.port),
    [1, 2]
  )
  scheduler.wakeAll()
  // Changes once the look-up has read the old one.
  const { announce } = dht
  dht.announce = async (...given) => {
    const told = await announce.apply(dht, given)
    port = 3
    return told
  }
  await time.pass(minute)
  assert.deepEqual(
    dht.announced.map((one) => one.port),
    [1, 2, 2, 3]
  )
  source.close()
})

test('the source reports that nodes answered before it passes on a peer, and after the look-up', async () => {
  let answers = 0
  const { time, dht, source } = setUp({ onAnswer: () => answers++ })
  const told: number[] = []
  source[Symbol.asyncIterator]().readBy({ value: () => told.push(answers), end: () => {} })
  dht.found = [1, 2].map((port) => ({ host: '192.0.2.1', port }))
  await time.pass(minute)
  assert.deepEqual([told, answers], [[1, 2], 3])
  source.close()
})

test('few peers make it look sooner, and so does an announce that no node takes', async () => {
  let hungry = true
  const { time, dht, source } = setUp({ isHungry: () => hungry })
  await time.pass(16 * minute)
  assert.deepEqual(
    dht.announced.map(({ at }) => at / 1000),
    [0, 10, 30, 70, 150, 310, 630]
  )
  hungry = false
  dht.told = 0
  dht.announced.length = 0
  await time.pass(60 * minute)
  // Back-off continues from where it was.
  assert.ok(dht.announced.length >= 3)
  source.close()
  await time.pass(0)
  const other = setUp()
  other.dht.told = 0
  await other.time.pass(minute)
  assert.deepEqual(
    other.dht.announced.map(({ at }) => at / 1000),
    [0, 10, 30]
  )
  other.source.close()
  await other.time.pass(0)
  assert.equal(other.time.pending, 0)
})

test('an unreachable client looks up and does not announce', async () => {
  const { time, dht, source } = setUp({ port: () => 0 })
  await time.pass(minute)
  assert.deepEqual([dht.announced.length, dht.lookups.length], [0, 1])
  source.close()
  await time.pass(0)
})

test('close aborts the look-up under way and frees its slot', async () => {
  const time = new FakeTime()
  const scheduler = new LookupScheduler({ timers: time, parallel: 1, gapMs: 0 })
  const first = new FakeDht(time)
  first.hangs = true
  const second = new FakeDht(time)
  const make = (dht: FakeDht): DhtSource =>
    new DhtSource({
      dht: dht as unknown as DhtSourceOptions['dht'],
      scheduler,
      infoHash: new Uint8Array(20),
      port: () => 1,
      isSeed: () => false,
      isHungry: () => false
    })
  const one = make(first)
  await time.pass(0)
  const two = make(second)
  await time.pass(minute)
  assert.deepEqual([first.announced.length, second.announced.length], [1, 0])
  one.close()
  await time.pass(minute)
  assert.equal(first.signals[0]?.aborted, true)
  assert.equal(second.announced.length, 1)
  two.close()
  await time.pass(0)
})

test('a fault of the DHT ends the source with it', async () => {
  const { dht, source } = setUp()
  dht.announce = () => Promise.reject(new Error('no'))
  const iterator = source[Symbol.asyncIterator]()
  await assert.rejects(iterator.next(), /no/)
})

function member(isUrgent: boolean, begin: (end: () => void) => void): DhtMember {
  return { isUrgent, begin, wake: () => {}, fail: () => {} }
}

test('scheduling: few at once, torrents without peers first, the others one after the other', async () => {
  const time = new FakeTime()
  const scheduler = new LookupScheduler({ parallel: 2, gapMs: 100, timers: time })
  const began: string[] = []
  const ends: (() => void)[] = []
  const take = (name: string, urgent: boolean): void => {
    scheduler.join(
      member(urgent, (end) => {
        began.push(name)
        ends.push(end)
      })
    )
  }
  for (const name of ['a', 'b', 'c', 'd']) take(name, false)
  take('u', true)
  await time.pass(0)
  assert.deepEqual(began, ['a', 'u'])
  for (const end of ends.splice(0)) end()
  ends[0]?.()
  await time.pass(150)
  assert.deepEqual(began, ['a', 'u', 'b'])
  await time.pass(100)
  assert.deepEqual([began, scheduler.waiting], [['a', 'u', 'b', 'c'], 1])
  const leaving = member(true, () => assert.fail('it has left'))
  scheduler.join(leaving)
  scheduler.leave(leaving)
  for (const end of ends) {
    end()
    end()
  }
  await time.pass(100)
  assert.deepEqual([began.at(-1), scheduler.waiting], ['d', 0])
})

test('scheduling: members wait for the first node together, share one timer, and leave nothing behind', async () => {
  const time = new FakeTime()
  const scheduler = new LookupScheduler({ timers: time })
  const woken: string[] = []
  const asked: AbortSignal[] = []
  const connected: (() => void)[] = []
  const dht = {
    connected: ({ signal }: { signal?: AbortSignal } = {}) => {
      if (signal !== undefined) asked.push(signal)
      return new Promise<void>((resolve) => connected.push(resolve))
    }
  }
  const make = (name: string): DhtMember => ({ ...member(false, () => {}), wake: () => woken.push(name) })
  const members = ['a', 'b', 'c'].map(make)
  const [a, b, c] = members
  assert.ok(a && b && c)
  for (const one of members) scheduler.connect(one, dht)
  scheduler.leave(b)
  connected[0]?.()
  await time.pass(0)
  assert.deepEqual([woken.splice(0), asked.length], [['a', 'c'], 1])
  scheduler.connect(b, dht)
  scheduler.leave(b)
  assert.deepEqual(
    asked.map(({ aborted }) => aborted),
    [false, true]
  )
  scheduler.sleep(a, 300)
  scheduler.sleep(b, 100)
  scheduler.sleep(c, 200)
  await time.pass(150)
  assert.deepEqual(woken.splice(0), ['b'])
  scheduler.leave(c)
  await time.pass(100)
  assert.deepEqual(woken, [])
  scheduler.leave(a)
  assert.equal(time.pending, 0)
})

test('a thousand torrents are spread over minutes', async () => {
  const time = new FakeTime()
  const scheduler = new LookupScheduler({ timers: time })
  let begun = 0
  for (let n = 0; n < 1000; n++) {
    scheduler.join(
      member(false, (end) => {
        begun++
        time.after(500, end)
      })
    )
  }
  await time.pass(1000)
  assert.ok(begun <= 6, `${begun}`)
  await time.pass(60_000)
  assert.ok(begun > 200 && begun < 300, `${begun}`)
})
