import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerRequests, requestHash } from '../../lib/wire/peer-requests.ts'
import { fc } from '../support/fast-check.ts'

interface Model {
  readonly piece: number
  readonly offset: number
  readonly length: number
  data: Uint8Array | undefined
}

const step = fc.record({
  kind: fc.constantFrom('add', 'add', 'add', 'answer', 'next', 'remove', 'removePiece', 'oldest'),
  piece: fc.nat(5),
  block: fc.nat(40)
})

test('any sequence of requests, answers, cancels and sends equals a plain list', () => {
  const run = fc.property(fc.array(step, { maxLength: 600 }), (steps) => {
    const requests = new PeerRequests()
    const discarded: Uint8Array[] = []
    requests.onDiscarded = (data) => discarded.push(data)
    let model: Model[] = []
    const expectedBack: Uint8Array[] = []
    for (const { kind, piece, block } of steps) {
      const offset = block * 5000
      const length = 1 + block
      const known = model.find((one) => one.piece === piece && one.offset === offset)
      assert.equal(requests.has(piece, offset), known !== undefined)
      if (kind === 'add') {
        if (known !== undefined) continue
        requests.add(piece, offset, length)
        model.push({ piece, offset, length, data: undefined })
      } else if (kind === 'answer') {
        const data = new Uint8Array(length)
        const fits = known !== undefined && known.data === undefined
        assert.equal(requests.answer(piece, offset, new Uint8Array(length + 1)), false)
        assert.equal(requests.answer(piece, offset, data), fits)
        if (fits) known.data = data
      } else if (kind === 'next') {
        const first = model.find(({ data }) => data !== undefined)
        assert.deepEqual(requests.next(), first)
        model = model.filter((one) => one !== first)
      } else if (kind === 'remove') {
        assert.equal(requests.remove(piece, offset, length + 1), false)
        assert.equal(requests.remove(piece, offset, length), known !== undefined)
        if (known?.data !== undefined) expectedBack.push(known.data)
        model = model.filter((one) => one !== known)
      } else if (kind === 'removePiece') {
        const gone = model.filter((one) => one.piece === piece && one.data === undefined)
        assert.deepEqual(
          requests.removeAll((request, isAnswered) => request.piece === piece && !isAnswered),
          gone.map(({ data: _, ...request }) => request)
        )
        model = model.filter((one) => !gone.includes(one))
      } else {
        const { data: _, ...oldest } = model.find(({ data }) => data === undefined) ?? { data: undefined }
        assert.deepEqual(requests.oldest ?? {}, oldest)
      }
      assert.equal(requests.size, model.length)
      assert.equal(
        requests.answerLength,
        model.reduce((sum, { data }) => sum + (data?.length ?? 0), 0)
      )
    }
    const rest = model.map(({ data }) => data).filter((data) => data !== undefined)
    assert.equal(requests.removeAll().length, model.length)
    assert.deepEqual(discarded, [...expectedBack, ...rest])
    assert.equal(requests.size, 0)
  })
  fc.assert(run)
})

test('a pending request is no obstacle for thousands that come and go', () => {
  const requests = new PeerRequests()
  requests.add(7, 0, 1)
  for (let n = 0; n < 10_000; n++) {
    requests.add(1, n * 16384, 16384)
    assert.ok(requests.remove(1, n * 16384, 16384))
  }
  assert.deepEqual(requests.oldest, { piece: 7, offset: 0, length: 1 })
  assert.ok(requests.answer(7, 0, new Uint8Array(1)))
  assert.equal(requests.next()?.piece, 7)
  assert.equal(requests.next(), undefined)
})

test('a deferred request is passed over until it is restored', () => {
  const requests = new PeerRequests()
  for (let piece = 0; piece < 100; piece++) requests.add(piece, 0, 1)
  requests.putOff(0, 0)
  requests.putOff(1, 0)
  requests.putOff(200, 0)
  assert.equal(requests.oldest?.piece, 2)
  assert.equal(requests.answer(0, 0, new Uint8Array(1)), false)
  assert.equal(requests.has(0, 0), true)
  assert.equal(requests.size, 100)
  for (let piece = 100; piece < 200; piece++) requests.add(piece, 0, 1)
  assert.equal(requests.remove(1, 0, 1), true)
  assert.deepEqual(requests.putBack(), [{ piece: 0, offset: 0, length: 1 }])
  assert.deepEqual(requests.putBack(), [])
  assert.equal(requests.oldest?.piece, 0)
})

test('requests that collide under one key do not under others', () => {
  const places = 4096
  const longest = (requests: readonly (readonly [number, number])[], key: Uint32Array): number => {
    const counts = new Uint32Array(places)
    for (const [piece, offset] of requests) {
      const place = requestHash(piece, offset, key) % places
      counts[place] = (counts[place] ?? 0) + 1
    }
    return Math.max(...counts)
  }
  const chosen = Uint32Array.of(0x9e3779b1, 0x85ebca6b)
  const colliding: [number, number][] = []
  for (let piece = 0; colliding.length < 2000; piece++) {
    for (let offset = 0; offset < 1 << 22; offset++) {
      if (requestHash(piece, offset, chosen) % places === 77) colliding.push([piece, offset])
      if (colliding.length === 2000) break
    }
  }
  const plain = colliding.map((_, n): [number, number] => [n >> 8, (n & 255) * 16384])
  assert.equal(longest(colliding, chosen), 2000)
  for (let n = 1; n < 200; n++) {
    const key = Uint32Array.of(Math.imul(n, 0x2545f491), Math.imul(n, 0x5851f42d))
    assert.ok(longest(colliding, key) < 16)
    assert.ok(longest(plain, key) < 16)
  }
})
