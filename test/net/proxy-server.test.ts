import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { readProxy } from '../../lib/net/proxy-server.ts'

function read(value: unknown): ReturnType<typeof readProxy> {
  return readProxy(value, (reason) => new RangeError(reason))
}

const named: Readonly<Record<string, string>> = {
  'socks5://192.0.2.1:1080': 'socks5://192.0.2.1:1080',
  'socks5h://proxy.example': 'socks5://proxy.example:1080',
  'socks4a://me@[2001:DB8::1]:9': 'socks4a://[2001:db8::1]:9',
  'http://me:secret@proxy.example/': 'http://proxy.example:80',
  ' http://proxy.example:3128 ': 'http://proxy.example:3128'
}

for (const [text, name] of Object.entries(named)) {
  test(`'${text}' is the proxy ${name}`, () => assert.equal(read(text)?.name, name))
}

test('without a proxy there is none', () => {
  assert.equal(read(undefined), undefined)
  assert.equal(read(false), undefined)
})

const long = 'x'.repeat(256)
const refused: readonly (readonly [unknown, RegExp])[] = [
  ['', /names no proxy/],
  ['192.0.2.1:1080', /names no proxy: give socks5:/],
  ['socks4://192.0.2.1:1080', /DNS would leak/],
  ['socks://192.0.2.1:1080', /name the version/],
  ['https://me:secret@192.0.2.1', /over TLS/],
  ['socks5://', /names no/],
  ['socks5://192.0.2.1:0', /no host and port/],
  ['socks5://192.0.2.1:1080/secret', /must end after the port/],
  ['socks5://192.0.2.1:1080?secret', /must end after the port/],
  ['socks4a://me:secret@192.0.2.1', /no passwords/],
  ['socks5://:secret@192.0.2.1', /needs a user name/],
  [true, /text or an object/],
  [{ url: 1 }, /must be a text/],
  [{ url: 'socks5://192.0.2.1', user: 'secret' }, /user: there is no such option/],
  [{ url: 'socks5://192.0.2.1', username: 'me', password: 7 }, /password: it must be a text/],
  [{ url: 'socks5://192.0.2.1', username: 'me', password: `secret${long}` }, /longer than 255/],
  [{ url: 'http://192.0.2.1', username: 'me:secret', password: 'x' }, /no colon/]
]

for (const [value, message] of refused) {
  test(`${JSON.stringify(value).slice(0, 60)} is refused, without its secret`, () => {
    assert.throws(
      () => read(value),
      (error: Error) => message.test(error.message) && !error.message.includes('secret')
    )
  })
}

test('credentials are given to the proxy, and shown nowhere', () => {
  const proxy = read({ url: 'socks5://me:first@192.0.2.1:1080', password: 's€cret' })
  assert.ok(proxy !== undefined)
  const handshake = proxy.connect({ host: '198.51.100.1', port: 80 })
  handshake.begin()
  const step = handshake.push(Uint8Array.of(5, 2))
  assert.ok(step.state === 'more' && step.send !== undefined)
  assert.equal(Buffer.from(step.send).toString(), `\x01\x02me\x08s€cret`)
  for (const shown of [
    JSON.stringify(proxy),
    inspect(proxy, { showHidden: true }),
    inspect(handshake),
    String(proxy)
  ])
    assert.doesNotMatch(shown, /cret|first|\bme\b/)
})
