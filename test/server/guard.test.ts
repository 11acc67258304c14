import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { createServer, type ServerOptions } from '../../lib/server.ts'
import { ask, clientOf, portOf, seed, serve } from './support.ts'

test('only our own host names are answered, so that no foreign name can point here', async (t) => {
  const client = clientOf(t)
  const { port } = await serve(t, client, { hosts: ['film.local', 'Box', 'tv.example.', '192.0.2.7'] })
  const table: Readonly<Record<string, number>> = {
    localhost: 200,
    'LOCALHOST:80': 200,
    'a.localhost:1': 200,
    'localhost.': 200,
    'a.localhost.:80': 200,
    '127.0.0.1': 200,
    '127.1.2.3:5': 200,
    '[::1]:8000': 200,
    'film.local:8000': 200,
    'film.local.': 200,
    'tv.example:80': 200,
    'tv.example.:80': 200,
    box: 200,
    '192.0.2.7:1': 200,
    'evil.example': 403,
    'localhost.evil.example': 403,
    evillocalhost: 403,
    'film.local.evil.example': 403,
    '127.0.0.1.evil.example': 403,
    '192.0.2.8': 403,
    '[::2]': 403,
    'evil@localhost': 403,
    'localhost..': 403,
    'evil.example.': 403,
    '.': 403
  }
  for (const [host, status] of Object.entries(table)) {
    assert.equal((await ask(port, '/api/torrents', { headers: { host } })).status, status, host)
  }
  assert.equal((await ask(port, 'http://evil.example/', { headers: { host: 'localhost' } })).status, 403)

  const wide = createServer(client).listen(0, '0.0.0.0')
  t.after(() => wide.close())
  await once(wide, 'listening')
  for (const [host, status] of [
    ['192.0.2.8', 200],
    ['[2001:db8::1]:80', 200],
    ['evil.example', 403]
  ] as const) {
    assert.equal((await ask(portOf(wide), '/', { headers: { host } })).status, status, host)
  }
})

test('a token is required everywhere, and links carry it', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': 'film' })
  const token = 'p&ss w/ö'
  const { port } = await serve(t, client, { token })
  const hash = torrent.infoHash
  const query = `token=${encodeURIComponent(token)}`
  for (const url of [
    '/',
    `/${hash}/`,
    `/${hash}.m3u`,
    `/${hash}/set/a.mp4`,
    '/api/torrents',
    '/api/events',
    '/nothing'
  ]) {
    for (const wrong of [url, `${url}?token=`, `${url}?token=p`]) {
      const reply = await ask(port, wrong)
      assert.deepEqual([reply.status, reply.headers['www-authenticate']], [401, 'Bearer'], wrong)
    }
  }
  assert.equal(
    (await ask(port, `/${hash}/set/a.mp4`, { headers: { authorization: 'Bearer x' } })).status,
    401
  )
  assert.equal((await ask(port, `/${hash}/set/a.mp4?${query}`)).text, 'film')
  const list = (await ask(port, `/${hash}.m3u?${query}`)).text
  assert.ok(list.includes(`/${hash}/set/a.mp4?${query}\n`), list)
  assert.ok((await ask(port, `/?${query}`)).text.includes(`href="/${hash}/?${query}"`))

  const plain = await serve(t, client, { token: 'abc' })
  assert.equal(
    (await ask(plain.port, '/api/torrents', { headers: { authorization: 'bearer abc' } })).status,
    200
  )
})

test('changes need our own origin, or the header that foreign pages cannot send', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': 'film' })
  const { port } = await serve(t, client)
  const own = `http://127.0.0.1:${port}`
  const table: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{}, 403],
    [{ 'x-piecewise': '1' }, 200],
    [{ origin: own }, 200],
    [{ origin: own, 'sec-fetch-site': 'same-origin' }, 200],
    [{ origin: own, 'sec-fetch-site': 'cross-site' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'null', 'x-piecewise': '1' }, 403],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'http://evil.example', 'x-piecewise': '1' }, 403],
    [{ origin: `http://127.0.0.1:${port + 1}` }, 403],
    [{ 'content-type': 'text/plain' }, 403]
  ]
  for (const [headers, status] of table) {
    const reply = await ask(port, `/api/torrents/${torrent.infoHash}/pause`, { method: 'POST', headers })
    assert.equal(reply.status, status, JSON.stringify(headers))
  }
  const closed = await serve(t, client, { readOnly: true })
  for (const [method, url] of [
    ['POST', `/api/torrents/${torrent.infoHash}/resume`],
    ['POST', '/api/torrents'],
    ['DELETE', `/api/torrents/${torrent.infoHash}`]
  ] as const) {
    assert.equal((await ask(closed.port, url, { method, headers: { 'x-piecewise': '1' } })).status, 403)
  }
  assert.equal(torrent.status, 'paused')
  assert.deepEqual(client.torrents, [torrent])
})

test('pages of other origins read files only with the option cors, and never change anything', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': 'film' })
  const url = `/${torrent.infoHash}/set/a.mp4`
  const closed = await serve(t, client)
  const none = await ask(closed.port, url, { headers: { origin: 'https://tv.example' } })
  assert.equal(none.headers['access-control-allow-origin'], undefined)
  assert.equal(none.headers['cross-origin-resource-policy'], 'same-origin')
  assert.equal((await ask(closed.port, url, { method: 'OPTIONS' })).status, 405)

  for (const cors of ['*', 'https://tv.example']) {
    const { port } = await serve(t, client, { cors, token: 'abc' })
    const reply = await ask(port, `${url}?token=abc`, { headers: { range: 'bytes=9-' } })
    assert.equal(reply.status, 416)
    assert.equal(reply.headers['access-control-allow-origin'], cors)
    assert.match(String(reply.headers['access-control-expose-headers']), /content-range/)
    assert.equal(reply.headers['cross-origin-resource-policy'], 'cross-origin')
    const preflight = await ask(port, url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://tv.example',
        'access-control-request-method': 'GET',
        'access-control-request-private-network': 'true'
      }
    })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers['access-control-allow-methods'], 'GET, HEAD')
    assert.equal(preflight.headers['access-control-allow-private-network'], 'true')
    assert.match(String(preflight.headers['access-control-allow-headers']), /range/)
    assert.equal(
      (await ask(port, '/api/torrents?token=abc')).headers['access-control-allow-origin'],
      undefined
    )
  }
})

test('invalid options are refused by name', (t) => {
  const client = clientOf(t)
  const table: readonly (readonly [options: unknown, message: RegExp])[] = [
    [{ token: '' }, /token/],
    [{ token: 5 }, /token/],
    [{ cors: true }, /cors: true/],
    [{ cors: 'https://a.example/path' }, /cors: .https:\/\/a.example\/…. must/],
    [{ cors: 'null' }, /cors/],
    [{ hosts: 'a' }, /hosts: .a. must/],
    [{ hosts: ['a:80'] }, /hosts/],
    [{ hosts: [''] }, /hosts/],
    [{ readOnly: 1 }, /readOnly: 1/],
    [{ page: 'no' }, /page/],
    [{ maxConnections: 0 }, /maxConnections: 0 must/],
    [{ maxConnections: '5' }, /maxConnections/],
    [{ maxStreams: 1.5 }, /maxStreams: 1.5 must/],
    [{ maxStreams: Number.NaN }, /maxStreams/],
    [{ colour: 1 }, /colour: there is no such option/],
    [null, /options/]
  ]
  for (const [options, message] of table) {
    assert.throws(() => createServer(client, options as ServerOptions), {
      code: 'ERR_SERVER_OPTION',
      message
    })
  }
  for (const source of [undefined, {}, 'magnet:']) {
    assert.throws(() => createServer(source as never), { code: 'ERR_SERVER_OPTION' })
  }
})
