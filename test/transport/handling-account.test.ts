import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HandlingAccount, refusesConnection } from '../../lib/transport/handling-account.ts'

/**
 * Two connections of a host: whether one pays for the other while both are open, and whether a third is
 * refused once the first has ended.
 */
for (const [host, isShared] of [
  ['198.51.100.31', true],
  ['2001:db8::', true],
  ['127.0.0.9', true],
  ['127.0.0.1', false],
  ['::1', false]
] as const) {
  test(`two connections from ${host} have ${isShared ? 'one account' : 'an account each until they end'}`, () => {
    const [busy, calm] = [1, 2].map((port) => new HandlingAccount(host, { host, port }))
    assert.equal(busy?.add(10_000), Number.POSITIVE_INFINITY)
    assert.equal(calm?.add(1) === 0, !isShared)
    assert.equal(calm?.waitMs === 0, !isShared)
    busy?.end()
    assert.equal(calm?.add(1) === 0, !isShared)
    assert.equal(new HandlingAccount(host, { host, port: 3 }).waitMs, Number.POSITIVE_INFINITY)
    assert.equal(refusesConnection(host), true)
    // Late work for the ended connection counts for the host, once.
    busy?.end()
    assert.equal(busy?.add(1), Number.POSITIVE_INFINITY)
    calm?.end()
  })
}

test('time counts only as far as the thread had a processor', () => {
  const account = new HandlingAccount('198.51.100.32', { host: '198.51.100.32', port: 1 })
  assert.equal(account.addTime(1), 0)
})
