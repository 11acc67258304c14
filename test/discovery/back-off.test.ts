import assert from 'node:assert/strict'
import test from 'node:test'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { backOffMs, manualBackOffMs } from '../../lib/discovery/back-off.ts'
import { type PeerAddress, parseAddress } from '../../lib/util/address.ts'

const at = parseAddress

function book(limit = 1000): AddressBook {
  return new AddressBook({ random: () => 0.9, limit })
}

for (const [source, waits] of [
  ['resume', backOffMs],
  ['manual', manualBackOffMs],
  ['magnet', manualBackOffMs]
] as const) {
  test(`a ${source} peer that fails is retried after growing waits`, () => {
    const it = book()
    const peer = at('8.0.0.1:1')
    it.add(peer, source, 0)
    let now = 0
    for (const waitMs of [...waits, waits.at(-1) ?? 0]) {
      it.dialling(peer, now)
      assert.equal(it.wakeAt, Number.POSITIVE_INFINITY)
      it.failed(peer, now)
      assert.equal(it.wakeAt, now + waitMs)
      assert.equal(it.next(now + waitMs - 1), undefined)
      now += waitMs
      assert.ok(it.next(now))
    }
  })
}

test('a peer named by hand is redialled within 2 s, and soon less often than every 10 s', () => {
  assert.ok((manualBackOffMs[0] ?? 0) <= 2000)
  assert.ok(manualBackOffMs.slice(3).every((waitMs) => waitMs >= 10_000))
  assert.deepEqual(
    manualBackOffMs,
    manualBackOffMs.toSorted((a, b) => a - b)
  )
})

/** Dials and fails six times in a row. Returns the time of the last. */
function failOften(it: AddressBook, peer: PeerAddress, now: number): number {
  for (let times = 0; times < 6; times++) {
    now = Math.max(now, it.wakeAt)
    it.dialling(peer, now)
    it.failed(peer, now)
  }
  return now
}

test('a peer that never answers is dropped until it is named again, an hour later at the earliest', () => {
  const it = book()
  const peer = at('8.0.0.1:1')
  it.add(peer, 'tracker', 0)
  const failedAt = failOften(it, peer, 0)
  assert.equal(it.wakeAt, Number.POSITIVE_INFINITY)
  assert.equal(it.add(peer, 'tracker', failedAt + 3_599_999), false)
  assert.equal(it.next(failedAt + 7_200_000), undefined, 'no source has named it since')
  assert.equal(it.add(peer, 'dht', failedAt + 7_200_000), true)
  assert.equal(it.next(failedAt + 7_200_000)?.failures, 6, 'but it comes last')
  it.dialling(peer, failedAt + 7_200_000)
  it.failed(peer, failedAt + 7_200_000)
  assert.equal(it.wakeAt, Number.POSITIVE_INFINITY)
  assert.equal(it.add(peer, 'manual', failedAt + 7_200_000), true, 'a user may insist')
})

test('useful peers and peers without a later source are not dropped', () => {
  for (const source of ['manual', 'resume', 'tracker'] as const) {
    const it = book()
    const peer = at('8.0.0.1:1')
    it.add(peer, source, 0)
    if (source === 'tracker') it.disconnected(peer, 0, 'useful')
    const failedAt = failOften(it, peer, 0)
    const waitMs = source === 'manual' ? manualBackOffMs[5] : backOffMs[5]
    assert.equal(it.wakeAt, failedAt + (waitMs ?? 0), source)
  }
})

test('a useful connection forgives failures, others do not', () => {
  const it = book()
  const peer = at('8.0.0.1:1')
  it.add(peer, 'tracker', 0)
  it.failed(peer, 0)
  it.failed(peer, 0)
  it.connected(peer)
  it.disconnected(peer, 0, 'useful')
  assert.equal(it.wakeAt, 5000)
  assert.equal(it.next(5000)?.failures, 0)
  it.disconnected(peer, 0, 'useless')
  assert.equal(it.next(10_000)?.failures, 1)
  it.disconnected(peer, 0, 'fault')
  assert.equal(it.next(120_000)?.failures, 3)
  assert.equal(it.add(peer, 'tracker', 0), false, 'hearing of it again changes nothing')
  assert.equal(it.add(peer, 'manual', 1), true, 'but a user may insist')
  assert.equal(it.next(1)?.failures, 0)
})

test('a peer that announces itself again on the local network need not wait', () => {
  const it = book()
  const peer = at('10.0.0.1:1')
  it.add(peer, 'lsd', 0)
  it.disconnected(peer, 0, 'uninteresting')
  assert.equal(it.add(peer, 'lsd', 4999), false)
  assert.equal(it.add(peer, 'pex', 6000, '10.0.0.2'), false, 'naming by others changes nothing')
  assert.equal(it.wakeAt, 600_000)
  assert.equal(it.add(peer, 'lsd', 6000), true)
  assert.equal(it.wakeAt, 6000)
})

test('an uninteresting peer waits long, unless new pieces are wanted', () => {
  const it = book()
  it.add(at('8.0.0.1:1'), 'tracker', 0)
  it.add(at('8.0.0.2:1'), 'tracker', 0)
  it.disconnected(at('8.0.0.1:1'), 0, 'uninteresting')
  it.failed(at('8.0.0.2:1'), 0)
  assert.equal(it.next(9999), undefined)
  it.revive(1)
  assert.equal(it.next(1)?.address.host, '8.0.0.1')
})

test('a host regains its share of the book when its addresses are dropped', () => {
  const it = book(50)
  const tell = (n: number, now: number): boolean => it.add(at(`9.0.0.${n}:1`), 'pex', now, '8.0.0.1')
  for (let n = 1; n <= 10; n++) assert.ok(tell(n, 0))
  const failedAt = failOften(it, at('9.0.0.1:1'), 0)
  assert.equal(tell(11, failedAt), true)
  assert.equal(tell(12, failedAt), false)
})
