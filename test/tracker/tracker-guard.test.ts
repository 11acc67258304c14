import assert from 'node:assert/strict'
import test from 'node:test'
import { encode } from '../../lib/bencode/encode.ts'
import { Network } from '../../lib/net/network.ts'
import { httpAnnounce, httpScrape } from '../../lib/tracker/http-tracker.ts'
import { announceTiers } from '../../lib/tracker/tiers.ts'
import { mayName, trackerGuard } from '../../lib/tracker/tracker-guard.ts'
import { UdpTrackerClient } from '../../lib/tracker/udp-tracker-client.ts'
import { announce, scrape } from '../../lib/tracker.ts'
import type { Trust } from '../../lib/util/trust.ts'
import { regularAnnounce as parameters } from '../support/announce-parameters.ts'
import { httpTracker } from './http-server.ts'
import { udpTracker } from './udp-server.ts'

const body = encode({ interval: 900, peers: '' })
const refused = { code: 'ERR_TRACKER_URL', message: /is refused/ }

for (const [tracker, peer, may] of [
  ['global', '9.9.9.9', true],
  ['global', '2a03::2', true],
  ['global', '192.168.0.9', false],
  ['global', '169.254.169.254', false],
  ['global', 'fd00::1', false],
  ['global', '127.0.0.1', false],
  ['global', '::ffff:127.0.0.1', false],
  ['global', '64:ff9b::c0a8:1', false],
  ['global', '0.0.0.0', false],
  ['global', 'localhost', false],
  ['global', 'peer.example', true],
  ['private', '192.168.0.9', true],
  ['private', '9.9.9.9', true],
  ['private', '127.0.0.1', false],
  ['private', 'LOCALHOST', false],
  ['loopback', '127.0.0.1', true],
  ['loopback', '10.0.0.1', true],
  ['loopback', 'localhost', true]
] as const) {
  test(`a ${tracker} tracker ${may ? 'may' : 'may not'} name ${peer}`, () => {
    assert.equal(mayName(tracker, peer), may)
  })
}

/**
 * The part after `http://` or `udp://`, and whether a torrent may use it on this machine or in a local
 * network.
 */
const local: readonly (readonly [rest: string, may: boolean])[] = [
  ['/announce', true],
  ['/scrape', true],
  ['/0123456789abcdef/announce', true],
  ['/~me/x-1/announce', true],
  ['//announce', true],
  ['/%61nnounce', true],
  ['/announce?', true],
  ['/', false],
  ['/apply.cgi', false],
  ['/announce.php', false],
  ['/announced', false],
  ['/Announce', false],
  ['/announce/', false],
  ['/announce?key=1', false],
  ['/apply.cgi?action=reboot', false],
  ['/apply.cgi?x=/announce', false],
  ['/announce/..%2fapply.cgi', false],
  ['/announce%2f..%2fapply.cgi', false],
  ['/announce%2F%2e%2e%2Fapply.cgi', false],
  ['/announce%252f..%252fapply.cgi', false],
  ['/announce%25252f..%25252fapply.cgi', false],
  ['/apply.cgi%2fannounce', false],
  ['/apply.cgi%5cannounce', false],
  ['/announce%5c..%5capply.cgi', false],
  ['/apply.cgi;/announce', false],
  ['/apply.cgi;x=1/announce', false],
  ['/apply.cgi%3b/announce', false],
  ['/announce;jsessionid=1', false],
  ['/apply.cgi%3f/announce', false],
  ['/apply.cgi%23/announce', false],
  ['/apply.cgi%00/announce', false],
  ['/apply.cgi%0d%0a/announce', false],
  ['/a%20b/announce', false],
  ['/apply.cgi%ef%bc%8fannounce', false],
  ['/%zz/announce', false]
]

for (const [rest, may] of local) {
  test(`a torrent ${may ? 'may' : 'may not'} request ${rest} from this machine and local networks`, () => {
    const guard = trackerGuard(new URL(`http://192.168.1.1${rest}`), 'remote')
    for (const scope of ['loopback', 'private'] as const) assert.equal(guard(scope, 0) === undefined, may)
    assert.equal(guard('global', 0), undefined)
    assert.equal(trackerGuard(new URL(`http://192.168.1.1${rest}`), 'program')('loopback', 0), undefined)
  })
}

for (const [url, may] of [
  ['udp://10.0.0.1:80', true],
  ['udp://10.0.0.1:80/', true],
  ['udp://10.0.0.1:80/announce', true],
  ['udp://10.0.0.1:80/other', false],
  ['udp://10.0.0.1:80/x%2fannounce', false],
  ['udp://10.0.0.1:80/announce?x', false],
  ['udp://me@10.0.0.1:80', false],
  ['http://admin:admin@10.0.0.1/announce', false],
  ['http://:pass@10.0.0.1/announce', false]
] as const) {
  test(`a torrent ${may ? 'may' : 'may not'} name the tracker ${url}`, () => {
    assert.equal(trackerGuard(new URL(url))('private', 0) === undefined, may)
  })
}

/** Resolves a name to this machine, as a torrent may choose it. */
const lookup = async (): Promise<readonly string[]> => ['127.0.0.1']

for (const [what, ask, reached] of [
  ['a torrent', (url: URL) => httpAnnounce(new Network().http, url, parameters, { lookup }), false],
  [
    'a private address',
    (url: URL) => httpAnnounce(new Network().http, url, parameters, { lookup, scopeOf: () => 'private' }),
    false
  ],
  [
    'a torrent that is scraped',
    (url: URL) => httpScrape(new Network().http, url, [parameters.infoHash], { lookup }),
    false
  ],
  [
    'the program',
    (url: URL) => httpAnnounce(new Network().http, url, parameters, { lookup, trust: 'program' as Trust }),
    true
  ]
] as const) {
  test(`the URL of ${what} ${reached ? 'leads anywhere' : 'reaches no service of this machine, by any name'}`, async () => {
    await using service = await httpTracker((_request, response) => response.end(body))
    const announceUrl = service.url
    for (const [rest, may] of local) {
      if (may || !rest.includes('announce')) continue
      for (const host of ['127.0.0.1', 'localhost', 'rebound.example', '0x7f.1']) {
        const url = new URL(announceUrl.replace('127.0.0.1', host).replace('/announce', rest))
        await ask(url).then(
          () => assert.ok(reached, url.href),
          (error) => {
            if (reached) throw error
            assert.equal(error.code, 'ERR_TRACKER_URL', `${url.href}: ${error.message}`)
          }
        )
      }
    }
    assert.equal(service.requests.length > 0, reached)
  })
}

test('a redirect leads a torrent neither to this machine nor into a local network, on any path', async () => {
  await using inner = await httpTracker((_request, response) => response.end(body))
  await using outer = await httpTracker(
    (_request, response) => void response.writeHead(302, { Location: inner.url }).end()
  )
  await assert.rejects(httpAnnounce(new Network().http, new URL(outer.url), parameters), refused)
  const scopeOf = (): 'private' => 'private'
  await assert.rejects(httpAnnounce(new Network().http, new URL(outer.url), parameters, { scopeOf }), refused)
  assert.equal(inner.requests.length, 0)
  await httpAnnounce(new Network().http, new URL(outer.url), parameters, { trust: 'program' })
  await httpAnnounce(new Network().http, new URL(outer.url), parameters, { scopeOf: () => 'global' })
  assert.equal(inner.requests.length, 2)
})

test('a UDP tracker of a torrent gets no chosen bytes on this machine, by any name', async () => {
  await using tracker = await udpTracker()
  const client = new UdpTrackerClient()
  for (const host of ['127.0.0.1', 'rebound.example']) {
    const url = new URL(`${tracker.url.replace('127.0.0.1', host)}?pass=1`)
    await assert.rejects(client.announce(url, parameters, { lookup, trust: 'remote' }), refused)
    await assert.rejects(client.scrape(url, [parameters.infoHash], { lookup, trust: 'remote' }), refused)
  }
  assert.equal(tracker.requests.length, 0)
  await client.announce(new URL(`udp://rebound.example:${new URL(tracker.url).port}`), parameters, {
    lookup,
    trust: 'remote'
  })
  await client.close()
})

test('announce and scrape accept a URL of the program, announceTiers those of a torrent', async () => {
  await using service = await httpTracker((request, response) => {
    response.end(request.url?.includes('scrape') ? encode({ files: {} }) : body)
  })
  const url = `${service.url}?pass=1`
  const { infoHash, peerId } = parameters
  const request = { infoHash, peerId, port: 1 }
  await new Promise<void>((resolve, reject) => {
    const one = announce(url, request, { onResponse: () => resolve(one.close()), onWarning: reject })
  })
  await scrape(url, [infoHash])
  await assert.rejects(scrape(url, [infoHash], { trust: 'remote' }), refused)
  const warnings: Error[] = []
  await new Promise<void>((resolve) => {
    const tiers = announceTiers([[url]], request, {
      onWarning: (warning) => {
        warnings.push(warning)
        resolve(tiers.close())
      }
    })
  })
  assert.match(warnings[0]?.message ?? '', /is refused/)
  await new Promise<void>((resolve, reject) => {
    const tiers = announceTiers([[url]], request, {
      trust: () => 'program',
      onResponse: () => resolve(tiers.close()),
      onWarning: reject
    })
  })
})
