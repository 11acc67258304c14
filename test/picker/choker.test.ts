import assert from 'node:assert/strict'
import test from 'node:test'
import { Choker, type ChokerOptions, optimisticMs, roundMs } from '../../lib/picker/choker.ts'
import { uploadSlots } from '../../lib/picker/upload-slots.ts'
import { fc } from '../support/fast-check.ts'

interface Swarm {
  readonly choker: Choker
  readonly down: Map<number, number>
  readonly up: Map<number, number>
  /** Total bytes by peer. */
  readonly gave: Map<number, number>
  readonly took: Map<number, number>
  readonly log: string[]
  unchoked(): number[]
}

function swarm(options: Partial<ChokerOptions> = {}): Swarm {
  const down = new Map<number, number>()
  const up = new Map<number, number>()
  const gave = new Map<number, number>()
  const took = new Map<number, number>()
  const log: string[] = []
  const served = new Set<number>()
  const choker = new Choker({
    sink: {
      choke(id) {
        assert.ok(served.delete(id), 'choked twice')
        log.push(`choke ${id}`)
      },
      unchoke(id) {
        assert.ok(!served.has(id), 'unchoked twice')
        served.add(id)
        log.push(`unchoke ${id}`)
      }
    },
    rates: (id) => ({
      downloadBytesPerSecond: down.get(id) ?? 0,
      uploadBytesPerSecond: up.get(id) ?? 0,
      downloaded: gave.get(id) ?? 0,
      uploaded: took.get(id) ?? 0
    }),
    random: () => 0.5,
    ...options
  })
  return { choker, down, up, gave, took, log, unchoked: () => [...served].sort((a, b) => a - b) }
}

/** Adds interested peers 1 to `count`. */
function join({ choker }: Swarm, count: number, now = 0): void {
  for (let id = 1; id <= count; id++) {
    choker.addPeer(id, now)
    choker.interested(id, true, now)
  }
}

test('a new interested peer is unchoked at once while slots are free', () => {
  const it = swarm({ slots: 3 })
  assert.equal(it.choker.wakeAt, Number.POSITIVE_INFINITY)
  join(it, 5, 1000)
  assert.deepEqual(it.unchoked(), [1, 2, 3])
  assert.equal(it.choker.wakeAt, 1000 + roundMs)
  assert.ok(it.choker.isUnchoked(1))
  it.choker.removePeer(2, 2000)
  assert.equal(it.log.at(-1), 'unchoke 4', 'the slot of a disconnected peer is given to another at once')
  for (let id = 1; id <= 5; id++) it.choker.removePeer(id, 3000)
  assert.equal(it.choker.wakeAt, Number.POSITIVE_INFINITY)
})

test('peers that upload most are unchoked, and one more by chance', () => {
  const it = swarm({ slots: 3 })
  join(it, 6)
  for (let id = 1; id <= 6; id++) it.down.set(id, id * 1000)
  it.choker.round(roundMs)
  const served = it.unchoked()
  assert.ok(served.includes(5) && served.includes(6))
  assert.equal(served.length, 3)
})

test('the optimistic slot changes its peer every 30 s and prefers new peers three to one', () => {
  let draw = 0
  const it = swarm({ slots: 2, random: () => draw })
  join(it, 4)
  it.down.set(1, 1000)
  it.choker.round(10_000)
  const first = it.unchoked().find((id) => id !== 1)
  it.choker.round(20_000)
  assert.deepEqual(it.unchoked(), [1, first].sort())
  it.choker.addPeer(5, 60_000)
  it.choker.interested(5, true, 60_000)
  // Old peers weigh 1, the new one 3: of [2, 3, 4 without the holder, 5] it has the last three fifths.
  draw = 0.41
  it.choker.round(70_000)
  assert.deepEqual(it.unchoked(), [1, 5])
  it.choker.round(70_000 + optimisticMs - 1)
  assert.deepEqual(it.unchoked(), [1, 5])
  draw = 0
  it.choker.round(70_000 + optimisticMs)
  assert.equal(it.unchoked().includes(5), false)
})

test('a peer that snubs us keeps no slot but the optimistic one', () => {
  const it = swarm({ slots: 3 })
  join(it, 3)
  for (let id = 1; id <= 3; id++) it.down.set(id, id)
  for (let id = 1; id <= 3; id++) it.choker.snubbed(id, true)
  it.choker.round(10_000)
  assert.equal(it.unchoked().length, 1)
  it.choker.snubbed(3, false)
  it.choker.snubbed(2, false)
  it.choker.round(20_000)
  assert.deepEqual(it.unchoked(), [1, 2, 3])
})

test('the optimistic unchoke of a peer that only downloads ends once it has enough to upload', () => {
  const it = swarm({ slots: 2, optimisticBytes: 600_000 })
  join(it, 2)
  it.gave.set(1, 1e6)
  it.down.set(1, 100)
  it.choker.round(10_000)
  const take = (bytes: number, now: number): void => {
    it.took.set(2, (it.took.get(2) ?? 0) + bytes)
    it.choker.sent(2, bytes, now)
  }
  take(599_000, 11_000)
  assert.deepEqual(it.unchoked(), [1, 2])
  take(1000, 12_000)
  assert.deepEqual(it.unchoked(), [1])
  it.choker.round(20_000)
  assert.deepEqual(it.unchoked(), [1, 2], 'it has its chance again')
  it.gave.set(2, 200_000)
  take(700_000, 21_000)
  assert.deepEqual(it.unchoked(), [1, 2], 'an uploading peer keeps it')
})

test('a fast uninterested peer is unchoked without a slot, and takes the slowest slot once interested', () => {
  const it = swarm({ slots: 3 })
  join(it, 3)
  it.choker.addPeer(9, 0)
  it.down.set(1, 100).set(2, 200).set(3, 5).set(9, 1000)
  it.choker.round(10_000)
  assert.deepEqual(it.unchoked(), [1, 2, 3, 9])
  it.choker.interested(9, true, 11_000)
  assert.deepEqual(it.unchoked(), [2, 3, 9])
})

test('a peer that loses interest frees its slot, and does not regain it while it is taken', () => {
  const it = swarm({ slots: 2 })
  join(it, 3)
  it.choker.interested(1, false, 1000)
  assert.equal(it.log.at(-1), 'unchoke 3')
  it.choker.interested(1, true, 2000)
  assert.deepEqual(it.unchoked(), [2, 3])
  it.choker.interested(3, false, 3000)
  it.choker.interested(1, false, 3000)
  it.choker.interested(3, true, 4000)
  assert.deepEqual(
    it.unchoked(),
    [1, 2, 3].filter((id) => it.choker.isUnchoked(id))
  )
  assert.ok(it.choker.isUnchoked(3), 'its slot is still free')
})

test('while seeding each peer has its turn', () => {
  const it = swarm({ slots: 3, quotaBytes: 1000 })
  it.choker.seeding = true
  join(it, 9)
  const served = new Set<number>()
  for (let now = roundMs; now <= 600_000; now += roundMs) {
    for (const id of it.unchoked()) {
      served.add(id)
      it.choker.sent(id, 500, 0)
    }
    it.choker.round(now)
    assert.equal(it.unchoked().length, 3)
  }
  assert.equal(served.size, 9)
  assert.equal(it.choker.seeding, true)
})

test('while seeding a turn is not cut short, and a peer that downloads nothing loses it', () => {
  const it = swarm({ slots: 2, quotaBytes: 1000, random: () => 0 })
  it.choker.seeding = true
  join(it, 4)
  for (let now = roundMs; now < 60_000; now += roundMs) {
    it.choker.sent(1, 900, 0)
    it.choker.round(now)
    assert.ok(it.choker.isUnchoked(1), `at ${now}`)
  }
  it.choker.round(60_000)
  assert.equal(it.choker.isUnchoked(1), false)
  const next = it.unchoked()
  it.choker.round(100_000)
  assert.notDeepEqual(it.unchoked(), next)
})

test('the number of slots follows the upload limit', () => {
  const none = Number.POSITIVE_INFINITY
  const cases: [limit: number, sentPerSecond: number, slots: number][] = [
    [0, 0, 0],
    [1024, 0, 2],
    [100 * 1024, 0, 8],
    [1e9, 0, 50],
    [none, 0, 8],
    [none, 1024 * 1024, 25],
    [none, 1e9, 50]
  ]
  for (const [limit, sent, slots] of cases) assert.equal(uploadSlots(limit, sent), slots, `${limit} ${sent}`)
  const it = swarm()
  join(it, 20)
  assert.equal(it.unchoked().length, 8)
  it.choker.uploadLimit = 20 * 1024
  it.choker.round(10_000)
  assert.equal(it.choker.slots, 3)
  assert.equal(it.unchoked().length, 3)
  it.choker.uploadLimit = 0
  it.choker.round(20_000)
  assert.deepEqual(it.unchoked(), [])
  assert.equal(it.choker.uploadLimit, 0)
})

test('a peer removed inside the sink gets no further calls', () => {
  const log: string[] = []
  const choker: Choker = new Choker({
    sink: {
      choke(id) {
        log.push(`choke ${id}`)
      },
      unchoke(id) {
        log.push(`unchoke ${id}`)
        if (id < 3) choker.removePeer(id, 0)
      }
    },
    rates: () => ({ downloadBytesPerSecond: 0, uploadBytesPerSecond: 0, downloaded: 0, uploaded: 0 }),
    random: () => 0,
    slots: 1
  })
  for (let id = 1; id <= 3; id++) choker.addPeer(id, 0)
  for (let id = 1; id <= 3; id++) choker.interested(id, true, 0)
  choker.round(10_000)
  assert.deepEqual(log, ['unchoke 1', 'unchoke 2', 'unchoke 3'])
})

test('there are never more interested unchoked peers than slots', () => {
  const id = fc.integer({ min: 1, max: 12 })
  const event = fc.oneof(
    fc.record({ kind: fc.constant('join' as const), id }),
    fc.record({ kind: fc.constant('leave' as const), id }),
    fc.record({ kind: fc.constant('interest' as const), id, yes: fc.boolean() }),
    fc.record({ kind: fc.constant('snub' as const), id, yes: fc.boolean() }),
    fc.record({ kind: fc.constant('rate' as const), id, rate: fc.nat(5) }),
    fc.record({ kind: fc.constant('seed' as const), yes: fc.boolean() }),
    fc.record({ kind: fc.constant('round' as const) })
  )
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 120, size: 'max' }),
      fc.nat(5),
      fc.func(fc.nat(999)),
      (events, slots, chance) => {
        let calls = 0
        const it = swarm({ slots, random: () => chance(calls++) / 1000 })
        const wanting = new Set<number>()
        const present = new Set<number>()
        const gone = new Set<string>()
        let now = 0
        for (const event of events) {
          now += 1500
          if (event.kind === 'join' && !present.has(event.id) && !gone.has(`${event.id}`)) {
            present.add(event.id)
            it.choker.addPeer(event.id, now)
          } else if (event.kind === 'leave' && present.delete(event.id)) {
            gone.add(`${event.id}`)
            wanting.delete(event.id)
            it.choker.removePeer(event.id, now)
          } else if (event.kind === 'interest' && present.has(event.id)) {
            if (event.yes) wanting.add(event.id)
            else wanting.delete(event.id)
            it.choker.interested(event.id, event.yes, now)
          } else if (event.kind === 'snub') it.choker.snubbed(event.id, event.yes)
          else if (event.kind === 'rate') it.down.set(event.id, event.rate)
          else if (event.kind === 'seed') it.choker.seeding = event.yes
          else if (event.kind === 'round') it.choker.round(now)
          const served = [...wanting].filter((peer) => it.choker.isUnchoked(peer))
          assert.ok(served.length <= slots, `${served.length} of ${slots}`)
          for (const peer of it.unchoked()) assert.equal(it.choker.isUnchoked(peer), !gone.has(`${peer}`))
        }
      }
    ),
    { numRuns: 200 }
  )
})

test('while downloading, there are slots for half of the interested peers', () => {
  const it = swarm({ uploadLimit: 4 * 2 ** 20 })
  join(it, 6)
  assert.equal(it.unchoked().length, 4)
  for (let id = 7; id <= 20; id++) {
    it.choker.addPeer(id, 0)
    it.choker.interested(id, true, 0)
  }
  assert.equal(it.choker.slots, 10)
  it.choker.seeding = true
  it.choker.round(roundMs)
  assert.equal(it.unchoked().length, 20)
})

test('a peer that downloads without uploading loses its slot to uploaders, and gets one where none upload', () => {
  const it = swarm({ slots: 3 })
  join(it, 5)
  assert.deepEqual(it.unchoked(), [1, 2, 3])
  it.took.set(1, 2 ** 20)
  it.choker.sent(1, 2 ** 20, 1000)
  assert.ok(it.choker.isUnchoked(1), 'no peer uploads')
  it.gave.set(4, 1)
  it.down.set(4, 1000)
  it.choker.round(roundMs)
  assert.ok(!it.choker.isUnchoked(1))
  assert.ok(it.choker.isUnchoked(4))
  it.gave.set(3, 1)
  it.choker.round(15_000)
  it.choker.removePeer(4, 16_000)
  assert.ok(!it.choker.isUnchoked(1), 'a free slot is not for it')
  it.gave.set(1, 2 ** 18)
  it.down.set(1, 1000)
  it.choker.round(2 * roundMs)
  assert.ok(it.choker.isUnchoked(1), 'it gives')
})

test('an upload-only peer gets no slot, whatever it says', () => {
  const it = swarm({ slots: 2 })
  join(it, 2)
  it.choker.uploadOnly(1, true, 100)
  it.choker.addPeer(3, 100)
  it.choker.interested(3, true, 100)
  it.choker.round(roundMs)
  assert.deepEqual(it.unchoked(), [2, 3])
  it.down.set(1, 1e6)
  it.choker.round(2 * roundMs)
  assert.deepEqual(it.unchoked(), [2, 3], 'nor for its uploads: it downloads nothing')
  it.choker.uploadOnly(9, true, 100)
  it.choker.removePeer(2, 20_100)
  it.choker.uploadOnly(1, false, 20_200)
  assert.ok(it.choker.isUnchoked(1) && it.choker.isUnchoked(3))
  assert.ok(it.choker.hasInterested)
})
