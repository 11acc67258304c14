import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostOfUrl } from '../../lib/net/url-host.ts'
import { isSupportedTracker, parseTrackerUrl, scrapeUrl } from '../../lib/tracker/tracker-url.ts'
import { TorrentError } from '../../lib/util/errors.ts'

test('URLs of known protocols are read', () => {
  const hosts: Record<string, string> = {
    'http://tracker.example/announce': 'tracker.example',
    'HTTPS://Tracker.Example:444/a?b=c': 'tracker.example',
    'udp://tracker.example:80': 'tracker.example',
    'udp://[::1]:80/announce': '::1',
    'http://[2001:DB8::1]/announce': '2001:db8::1',
    'udp://b%C3%BCcher.example:1': 'xn--bcher-kva.example',
    'udp://127.0.0.1:9/x?y': '127.0.0.1'
  }
  for (const [text, host] of Object.entries(hosts)) assert.equal(hostOfUrl(parseTrackerUrl(text)), host, text)
})

test('others are refused, and quoted', () => {
  const refused: [string, RegExp][] = [
    ['', /malformed/],
    ['tracker', /malformed/],
    ['wss://tracker.example', /neither/],
    ['file:///etc/passwd', /neither/],
    ['udp://tracker.example', /no port/],
    ['udp://tracker.example:0', /no port/],
    ['udp://a%20b:1', /no valid host/],
    ['udp://%ff:1', /no valid host/],
    ['udp://:1', /malformed|no valid host/],
    ['http://x.example/announce?info_hash=a', /sets 'info_hash'/],
    ['http://x.example/announce?a&%70ort=1', /sets 'port'/]
  ]
  for (const [text, pattern] of refused) {
    assert.throws(
      () => parseTrackerUrl(text),
      (error) =>
        error instanceof TorrentError && error.code === 'ERR_TRACKER_URL' && pattern.test(error.message),
      text
    )
  }
  assert.equal(isSupportedTracker(' UDP://x:1'), true)
  assert.equal(isSupportedTracker('wss://x'), false)
})

test('the scrape URL follows from the announce URL', () => {
  const table = {
    'http://x.example/announce': 'http://x.example/scrape',
    'http://x.example/x/announce': 'http://x.example/x/scrape',
    'http://x.example/announce.php?x=/y': 'http://x.example/scrape.php?x=/y',
    'http://x.example/announce/k/announce?x2%0644': 'http://x.example/announce/k/scrape?x2%0644'
  }
  for (const [from, to] of Object.entries(table)) assert.equal(scrapeUrl(new URL(from)).href, to)
  for (const none of ['http://x.example/a', 'http://x.example/announce/x', 'http://x.example/x-announce']) {
    assert.throws(() => scrapeUrl(new URL(none)), TorrentError)
  }
})
