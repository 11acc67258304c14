import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { Rc4, useWebAssembly } from '../../../lib/transport/mse/rc4.ts'
import { patternBytes } from './pattern-bytes.ts'

afterEach(() => useWebAssembly(true))

const key = Buffer.from('0123456789abcdef', 'hex')

for (const withModule of [true, false]) {
  const how = withModule ? 'WebAssembly' : 'JavaScript'
  test(`RC4 in ${how} gives the known stream`, () => {
    useWebAssembly(withModule)
    const zeros = Buffer.alloc(8)
    new Rc4(key).apply(zeros)
    assert.equal(zeros.toString('hex'), '7494c2e7104b0879')
    const long = Buffer.alloc(1024)
    new Rc4(key).apply(long)
    assert.equal(long.toString('hex', 0, 8), '7494c2e7104b0879')
  })
}

test('both ways of RC4 continue one stream, whatever the lengths', () => {
  const lengths = [1, 255, 256, 257, 32_767, 3, 32_768, 32_769, 17, 100_000, 0, 5]
  const streams = [true, false].map((withModule) => {
    useWebAssembly(withModule)
    const rc4 = new Rc4(key, 1024)
    return Buffer.concat(
      lengths.map((length) => {
        const bytes = patternBytes(length)
        rc4.apply(bytes)
        return bytes
      })
    )
  })
  assert.ok(streams[0]?.equals(streams[1] ?? Buffer.alloc(0)))
})

test('the first bytes of a stream can be dropped', () => {
  const whole = Buffer.alloc(1040)
  new Rc4(key).apply(whole)
  const rest = Buffer.alloc(16)
  new Rc4(key, 1024).apply(rest)
  assert.deepEqual(rest, whole.subarray(1024))
})

test('a stream enciphers into other memory and leaves its source', () => {
  for (const length of [10, 70_000]) {
    const source = patternBytes(length)
    const target = new Uint8Array(length)
    new Rc4(key).apply(source, target)
    assert.deepEqual(source, patternBytes(length))
    new Rc4(key).apply(target)
    assert.deepEqual(target, source)
  }
})

test('two streams do not disturb each other', () => {
  const [one, two] = [new Rc4(key), new Rc4(Buffer.from('another key'))]
  const alone = Buffer.alloc(2000)
  new Rc4(key).apply(alone)
  const turns = Buffer.alloc(2000)
  for (let at = 0; at < 2000; at += 400) {
    one.apply(turns.subarray(at, at + 400))
    two.apply(new Uint8Array(500))
  }
  assert.deepEqual(turns, alone)
})
