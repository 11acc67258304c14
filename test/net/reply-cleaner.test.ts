import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../lib/net/limits.ts'
import { ReplyCleaner } from '../../lib/net/reply-cleaner.ts'
import { fc } from '../support/fast-check.ts'
import { oddReplies } from '../tracker/odd-replies.ts'

function clean(chunks: readonly Buffer[]): { text: string; done: boolean; cut: boolean } {
  const cleaner = new ReplyCleaner()
  const parts = chunks.map((chunk) => cleaner.push(chunk))
  const { done, cut } = cleaner
  return { text: Buffer.concat([...parts, cleaner.end()]).toString('latin1'), done, cut }
}

const ofText = (text: string): ReturnType<typeof clean> => clean([Buffer.from(text, 'latin1')])

test('only the status and the headers that matter reach the parser', () => {
  const { text, done } = ofText(
    'HTTP/1.0 302 Found\nServer: x\nContent-Type: text/html\ncontent-ENCODING : gzip\nLocation:\t/a\x01b \nContent-Length: 2\n\nok'
  )
  assert.equal(
    text,
    'HTTP/1.1 302 -\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nLocation: /ab\r\n\r\nok'
  )
  assert.equal(done, true)
})

test('a head may have very many lines and interim answers, up to its limit', () => {
  const lines = 'a\n'.repeat(30_000)
  assert.equal(
    ofText(`HTTP/1.1 200 OK\n${lines}\nbody`).text,
    'HTTP/1.1 200 -\r\nConnection: close\r\n\r\nbody'
  )
  const interim = 'HTTP/1.1 100 Continue\n\n'.repeat(2_800)
  assert.equal(ofText(`${interim}HTTP/1.1 204 -\n\n`).text, 'HTTP/1.1 204 -\r\nConnection: close\r\n\r\n')
  const tooLong = `HTTP/1.1 200 OK\n${'a\n'.repeat(limits.headBytes / 2)}\nbody`
  assert.equal(ofText(tooLong).text, tooLong)
})

const lengths: [header: string, done: boolean, cut: boolean][] = [
  ['Content-Length: 4', true, false],
  ['Content-Length: "4"', true, false],
  ['Content-Length: 4\r\nContent-Length: 4', true, false],
  ['Content-Length: 4, 4', true, false],
  ['Content-Length: 5', false, true],
  ['Content-Length: 3', true, false],
  // A contradictory or invalid length is ignored: the body ends with the connection.
  ['Content-Length: 4\r\nContent-Length: 9', false, false],
  ['Content-Length: -4', false, false],
  ['Content-Length: 4e2', false, false],
  ['Content-Length: 99999999999999999999', false, false],
  ['Content-Length: 4\r\nTransfer-Encoding: chunked', false, false],
  ['X-Length: 4', false, false]
]
test('a valid length is used', () => {
  for (const [header, done, cut] of lengths) {
    const result = ofText(`HTTP/1.1 200 OK\r\n${header}\r\n\r\nbody`)
    assert.ok(result.text.endsWith('\r\n\r\nbody'), header)
    assert.deepEqual([result.done, result.cut], [done, cut], header)
  }
})

test('a reply other than HTTP/1 passes through unchanged', () => {
  for (const text of [
    '',
    'd4:',
    '\n\nd8:',
    'ICY 200 OK\r\n\r\nx',
    'HTTP/1.1 2000 OK\r\n\r\n',
    'HTTP/1.1 abc\n\n',
    'HTT'
  ]) {
    assert.equal(ofText(text).text, text)
  }
  const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxyz'
  assert.equal(ofText(upgrade).text, upgrade)
})

test('a head without an end is not buffered beyond its limit', () => {
  const line = `X: ${'a'.repeat(1000)}\r\n`
  for (const start of ['HTTP/1.1 200 OK\r\n', 'HTTP/1.1 100 Continue\r\n\r\n']) {
    const cleaner = new ReplyCleaner()
    let sent = 0
    let passed = 0
    while (passed === 0) {
      const chunk = Buffer.from(`${start}${line}`)
      sent += chunk.length
      passed = cleaner.push(chunk).length
    }
    assert.ok(sent < limits.headBytes + 2 * line.length, String(sent))
  }
})

test('chunk boundaries change nothing', () => {
  for (const { title, bytes } of oddReplies) {
    const whole = clean([bytes])
    const single = clean(Array.from(bytes, (byte) => Buffer.of(byte)))
    assert.deepEqual(single, whole, title)
  }
})

test('no bytes make it throw, and it invents no header line', () => {
  const piece = fc.oneof(
    fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\n', 'Location: ', 'Content-Length: ', 'chunked', '\0', '\r'),
    fc.string({ maxLength: 8 })
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const { text } = clean(pieces.map((one) => Buffer.from(one, 'latin1')))
      if (!text.startsWith('HTTP/1.1 200 -\r\n')) return
      for (const line of text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n').slice(1))
        assert.match(
          line,
          /^(Connection: close|Transfer-Encoding: chunked|Location: .*|Content-(Type|Encoding): .*)$/
        )
    })
  )
})
