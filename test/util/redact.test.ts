import assert from 'node:assert/strict'
import test from 'node:test'
import { redactText, redactUrl, withoutSecrets } from '../../lib/util/redact.ts'

const hash = 'c9e15763f722f23e98a29decdfae341b98d53056'

for (const [given, shown] of [
  ['http://tracker.example/announce', 'http://tracker.example/announce'],
  ['https://tracker.example:8443/announce.php', 'https://tracker.example:8443/announce.php'],
  ['udp://tracker.example:80', 'udp://tracker.example:80'],
  ['http://tracker.example/', 'http://tracker.example/'],
  ['http://tracker.example', 'http://tracker.example'],
  ['http://tracker.example?key=0123abcd', 'http://tracker.example?…'],
  ['http://me:hunter2@tracker.example/announce', 'http://tracker.example/announce'],
  ['udp://me:hunter2@tracker.example:80/x', 'udp://tracker.example:80/…'],
  ['http://tracker.example/0123abcd/announce', 'http://tracker.example/…/announce'],
  ['http://tracker.example/a/b/scrape?passkey=0123abcd', 'http://tracker.example/…/scrape?…'],
  ['http://[::1]:9117/dl/x/?apikey=0123abcd&path=y#z', 'http://[::1]:9117/…/?…'],
  ['https://site.example/torrent/download/12.0123abcd', 'https://site.example/…'],
  [`magnet:?xt=urn:btih:${hash}&tr=http%3A%2F%2Fx%2F0123abcd`, `magnet:?xt=urn:btih:${hash}…`],
  [`magnet:?dn=x&tr=http://x/0123abcd&xt=urn:btih:${hash}`, `magnet:?xt=urn:btih:${hash}…`],
  ['magnet:?tr=http://x/0123abcd', 'magnet:?…'],
  ['data:application/x-bittorrent;base64,ZDQ6', 'data:…'],
  ['file:///home/me/a.torrent', 'file:///home/me/a.torrent'],
  ['http://me:hun/ter2@tracker.example:99999/0123abcd', 'http://tracker.example:99999…'],
  ['tracker.example/0123abcd/announce', 'tracker.example…'],
  ['me:hunter2@tracker.example', 'tracker.example'],
  ['nonsense', 'nonsense'],
  ['', '']
] as const) {
  test(`a message shows '${given}' as '${shown}'`, () => assert.equal(redactUrl(given), shown))
}

test('URLs and magnet links within a sentence are masked, and nothing else', () => {
  assert.equal(
    redactText(
      `open 'http://me:pw@h.example/k1/x' or <magnet:?xt=urn:btih:${hash}&tr=k2>: see udp://h:1/k3, or not.`
    ),
    `open 'http://h.example/…' or <magnet:?xt=urn:btih:${hash}…>: see udp://h:1/…, or not.`
  )
  assert.equal(
    redactText('ENOENT: no such file, open C:\\x and a/b'),
    'ENOENT: no such file, open C:\\x and a/b'
  )
})

test('parts of its URL that a server sends back are masked', () => {
  const url = new URL('http://user:p%40ssw0rd@h.example/tracker/0123abcd/announce?pass=k%2Fey1&x=1')
  assert.equal(
    withoutSecrets('the tracker refused: user p%40ssw0rd p@ssw0rd 0123abcd k%2Fey1 k/ey1 announce 1', url),
    'the tracker refused: … … … … … … announce 1'
  )
  assert.equal(withoutSecrets("it begins with 'p@ssw'; 0123abc", url), "it begins with '…'; …")
  assert.equal(withoutSecrets("it begins with '012'", url), "it begins with '012'")
})

test('texts that resemble the beginning of very long URLs stay unchanged', () => {
  const letters = 'a.'.repeat(32_000)
  assert.equal(redactText(letters), letters)
  assert.equal(redactText(`${letters}b://t.example/secret`), `${letters}b://t.example/…`)
  const marks = '.:;'.repeat(20_000)
  assert.equal(redactText(`see http://t.example/secret${marks}`), `see http://t.example/…${marks}`)
})
