import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import test from 'node:test'
import { type BlockDigest, SmartBan } from '../../lib/picker/smart-ban.ts'

/** Returns digests of blocks that hold these words. */
function digests(words: readonly string[]): BlockDigest {
  return (block) => {
    const word = words[block]
    return word === undefined ? undefined : createHash('sha1').update(word).digest()
  }
}

function send(ban: SmartBan, piece: number, hosts: readonly string[]): void {
  hosts.forEach((host, block) => {
    ban.contributed(piece, block, host)
  })
}

test('the single contributor of a failed piece is guilty at once', () => {
  const ban = new SmartBan()
  send(ban, 3, ['a', 'a'])
  assert.deepEqual(ban.contributors(3), ['a'])
  assert.deepEqual(ban.failed(3, 2, digests(['x', 'y'])), ['a'])
  assert.equal(ban.isSuspect('a'), false)
  assert.deepEqual(ban.contributors(3), [])
})

test('a piece with blocks of unknown origin has no single contributor', () => {
  const ban = new SmartBan()
  ban.contributed(3, 2, 'a')
  assert.deepEqual(ban.failed(3, 4, digests(['w', 'x', 'y', 'z'])), [])
  assert.equal(ban.isSuspect('a'), true)
})

test('once the piece passes, the contributor whose block differs is guilty', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b', 'c'])
  assert.deepEqual(ban.failed(0, 3, digests(['1', 'bad', '3'])), [])
  for (const host of ['a', 'b', 'c']) assert.equal(ban.isSuspect(host), true)
  send(ban, 0, ['c', 'c', 'c'])
  assert.deepEqual(ban.passed(0, digests(['1', '2', '3'])), ['b'])
  for (const host of ['a', 'b', 'c']) assert.equal(ban.isSuspect(host), false)
  assert.deepEqual(ban.passed(0, digests(['1', '2', '3'])), [], 'a verdict is given once')
})

test('several liars in several attempts are all found', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.failed(0, 2, digests(['bad', '2']))
  send(ban, 0, ['c', 'b'])
  ban.failed(0, 2, digests(['worse', '2']))
  send(ban, 0, ['d', 'b'])
  assert.deepEqual(ban.passed(0, digests(['1', '2'])).sort(), ['a', 'c'])
})

test('a host that sends two versions of a block is guilty before the piece passes', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.failed(0, 2, digests(['bad', '2']))
  send(ban, 0, ['a', 'b'])
  assert.deepEqual(ban.failed(0, 2, digests(['worse', '2'])), ['a'])
  assert.equal(ban.isSuspect('a'), false)
  assert.equal(ban.isSuspect('b'), true)
})

test('a suspect is cleared by a good piece that it sent alone', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.failed(0, 2, digests(['1', 'bad']))
  send(ban, 1, ['a', 'b'])
  ban.passed(1, digests(['1', '2']))
  assert.equal(ban.isSuspect('a'), true, 'a shared piece proves nothing')
  send(ban, 2, ['a', 'a'])
  ban.passed(2, digests(['1', '2']))
  assert.equal(ban.isSuspect('a'), false)
  assert.equal(ban.isSuspect('b'), true)
})

test('the sender of the stored bytes counts, and abandoned pieces do not', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.contributed(0, 0, 'b')
  assert.deepEqual(ban.failed(0, 2, digests(['x', 'y'])), ['b'])
  send(ban, 1, ['a', 'a'])
  ban.forget(1)
  assert.deepEqual(ban.failed(1, 2, digests(['x', 'y'])), [])
})

test('the history is bounded, and a forgotten host is no suspect', () => {
  const ban = new SmartBan()
  const one = Uint8Array.of(1)
  const two = Uint8Array.of(2)
  for (let piece = 0; piece < 200; piece++) {
    for (let block = 0; block < 256; block++) ban.contributed(piece, block, `${piece}.${block % 2}`)
    assert.deepEqual(
      ban.failed(piece, 256, () => one),
      []
    )
  }
  assert.equal(ban.isSuspect('0.0'), false)
  assert.equal(ban.isSuspect('199.0'), true)
  assert.deepEqual(
    ban.passed(0, () => two),
    [],
    'its digests are gone'
  )
  assert.deepEqual(ban.passed(199, () => two).sort(), ['199.0', '199.1'])
  for (let piece = 0; piece < 5000; piece++) ban.contributed(piece, 0, 'x')
  assert.deepEqual(ban.contributors(0), [])
  assert.deepEqual(ban.contributors(4999), ['x'])
})

test('a host that is part of every contradiction is discredited', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b', 'liar', 'b'])
  ban.failed(0, 4, digests(['1', '2', 'bad', '4']))
  assert.equal(ban.isDiscredited('liar'), false, 'one failure tells nothing')
  send(ban, 0, ['b', 'liar', 'a', 'a'])
  assert.deepEqual(ban.failed(0, 4, digests(['1', 'worse', '3', '4'])), [])
  assert.equal(ban.isDiscredited('liar'), true)
  assert.equal(ban.isDiscredited('a'), false)
  assert.equal(ban.isDiscredited('b'), false)
  send(ban, 0, ['a', 'b', 'a', 'b'])
  assert.deepEqual(ban.passed(0, digests(['1', '2', '3', '4'])), ['liar'])
  assert.equal(ban.isDiscredited('liar'), true, 'guilty hosts are not trusted again')
})

test('blocks of the next copy already single out one host, whose part of the first is not credible', () => {
  const ban = new SmartBan()
  const copy = digests(['1', 'bad', '3', 'bad'])
  const right = digests(['1', '2', '3', '4'])
  const digest = (source: BlockDigest, block: number): Uint8Array => source(block) ?? new Uint8Array(0)
  send(ban, 7, ['a', 'liar', 'b', 'liar'])
  ban.failed(7, 4, copy)
  assert.deepEqual([...ban.contested], [7])
  assert.equal(ban.believable(7).size, 0, 'any of them may be wrong')
  assert.equal(ban.compare(7, 1, 'a', digest(right, 1)), undefined)
  assert.equal(ban.isDiscredited('liar'), false)
  ban.compare(7, 3, 'b', digest(right, 3))
  assert.equal(ban.isDiscredited('liar'), true)
  assert.deepEqual(
    [...ban.believable(7)],
    [
      [0, 'a'],
      [2, 'b']
    ]
  )
  assert.equal(ban.compare(7, 0, 'a', digest(copy, 1)), 'a', 'two versions from one host')
  assert.deepEqual([...ban.believable(7)], [[2, 'b']])
})

test('a large piece with disputed blocks throughout is judged block by block', () => {
  const ban = new SmartBan()
  const blocks = 8000
  for (let block = 0; block < blocks; block++) ban.contributed(0, block, block % 2 === 0 ? 'liar' : 'a')
  ban.failed(0, blocks, () => Uint8Array.of(1))
  for (let block = 0; block < blocks; block++) ban.contributed(0, block, block % 2 === 0 ? 'b' : 'liar')
  assert.deepEqual(
    ban.failed(0, blocks, () => Uint8Array.of(2)),
    []
  )
  assert.equal(ban.isDiscredited('liar'), true)
  assert.equal(ban.believable(0).size, blocks / 2)
})

test('a host that appears with the second copy may be the one common to all contradictions', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b', 'x'])
  ban.failed(0, 3, digests(['1', '2', 'bad']))
  ban.compare(0, 0, 'late', Uint8Array.of(1))
  ban.compare(0, 1, 'late', Uint8Array.of(2))
  assert.equal(ban.isDiscredited('late'), true)
})

test('lists the blocks of incomplete pieces that a host sent', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b', 'a'])
  send(ban, 4, ['b', 'a'])
  send(ban, 5, ['b'])
  assert.deepEqual(
    [...ban.sentBy('a')],
    [
      [0, [0, 2]],
      [4, [1]]
    ]
  )
  ban.discarded(0, [0, 2])
  assert.deepEqual([...ban.sentBy('a')], [[4, [1]]])
  assert.deepEqual(ban.contributors(0), ['b'])
})

test('a contradiction with two sides, or several without a common host, accuses none', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.failed(0, 2, digests(['1', 'bad']))
  send(ban, 0, ['a', 'c'])
  ban.failed(0, 2, digests(['1', '2']))
  for (const host of ['a', 'b', 'c']) assert.equal(ban.isDiscredited(host), false)
  send(ban, 1, ['a', 'b', 'c', 'd'])
  ban.failed(1, 4, digests(['bad', 'bad', '3', '4']))
  send(ban, 1, ['c', 'd', 'c', 'd'])
  ban.failed(1, 4, digests(['1', '2', '3', '4']))
  for (const host of ['a', 'b', 'c', 'd']) assert.equal(ban.isDiscredited(host), false)
})

test('unknown digests give no verdict', () => {
  const ban = new SmartBan()
  send(ban, 0, ['a', 'b'])
  ban.failed(0, 2, () => undefined)
  send(ban, 0, ['a', 'c'])
  ban.failed(0, 2, digests(['1', 'bad']))
  assert.deepEqual(
    ban.passed(0, () => undefined),
    []
  )
})
