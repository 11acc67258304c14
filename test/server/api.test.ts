import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { test } from 'node:test'
import { TorrentError } from '../../lib/index.ts'
import { until } from '../support/until.ts'
import { FaultyStorage } from '../torrent/faulty-storage.ts'
import { ask, bytesOf, clientOf, connect, lonely, type Reply, seed, serve } from './support.ts'

const intent = { 'x-piecewise': '1' }

function post(
  port: number,
  url: string,
  body: string | Uint8Array,
  type = 'application/json'
): Promise<Reply> {
  return ask(port, url, { method: 'POST', headers: { ...intent, 'content-type': type }, body })
}

test('torrents are listed, with their files', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': bytesOf(50_000), 'b c.txt': 'text' })
  const { port } = await serve(t, client)
  const list = JSON.parse((await ask(port, '/api/torrents')).text)
  assert.equal(list.canAdd, true)
  assert.equal(list.readOnly, false)
  assert.deepEqual(
    list.torrents.map((one: { infoHash: string; status: string }) => [one.infoHash, one.status]),
    [[torrent.infoHash, 'seeding']]
  )
  const one = JSON.parse((await ask(port, `/api/torrents/${torrent.infoHash}`, { headers: intent })).text)
  assert.deepEqual(
    one.files.map(({ path, url }: { path: string; url: string }) => [path, url]),
    torrent.files.map(({ path }) => [path, `/${torrent.infoHash}/${path.replace(' ', '%20')}`])
  )
  assert.equal(one.magnetURI, torrent.magnetURI)
  const alone = JSON.parse((await ask((await serve(t, torrent)).port, '/api/torrents')).text)
  assert.equal(alone.canAdd, false)
})

test('the API tells an idle torrent from a seed, and why a torrent has stopped', async (t) => {
  const { client: seeder, torrent: source } = await seed(t, {
    'a.mp4': bytesOf(50_000),
    'b.mp4': bytesOf(50_000)
  })
  const client = clientOf(t)
  client.on('error', () => {})
  const { port } = await serve(t, client)
  const { infoHash } = source
  const summary = async (): Promise<Record<string, unknown>> =>
    JSON.parse((await ask(port, `/api/torrents/${infoHash}`)).text)
  const message = `no <b>room</b> & "quotes"\u202e`
  const storage = new FaultyStorage()
  storage.writeFault = new TorrentError('ERR_STORAGE_FULL', message)
  const torrent = await client.add(source.torrentFile ?? '', { storage, select: 'none' })
  const idle = await summary()
  assert.deepEqual([idle['status'], idle['progress'], idle['error']], ['idle', 0, null])
  assert.equal(idle['timeRemaining'], null)
  await post(port, `/api/torrents/${infoHash}/select`, '{"files":[0]}')
  assert.equal((await summary())['status'], 'downloading')
  await post(port, `/api/torrents/${infoHash}/select`, '{"files":"all","selected":false}')
  assert.equal((await summary())['status'], 'idle')
  torrent.select(0)
  torrent.addPeer(`127.0.0.1:${seeder.port}`)
  await until('the torrent to fail', () => torrent.status, { is: 'error' })
  assert.deepEqual((await summary())['error'], { code: 'ERR_STORAGE_FULL', message })
  const list = JSON.parse((await ask(port, '/api/torrents')).text)
  assert.equal(list.torrents[0].error.message, message)
  assert.ok(
    !(await ask(port, `/${infoHash}/`)).text.includes('<b>room'),
    'no markup of a message is in the page'
  )
  storage.writeFault = undefined
  const resumed = JSON.parse((await post(port, `/api/torrents/${infoHash}/resume`, '')).text)
  assert.deepEqual([resumed.status, resumed.error], ['downloading', null])
})

test('torrents are added as .torrent, magnet link and info hash, and removed', async (t) => {
  const { torrent: source } = await seed(t, { 'a.mp4': bytesOf(50_000) })
  const client = clientOf(t)
  const { port } = await serve(t, client)
  const added = await post(port, '/api/torrents', source.torrentFile ?? '', 'application/x-bittorrent')
  assert.equal(added.status, 201, added.text)
  assert.equal(added.headers.location, `/${source.infoHash}/`)
  const torrent = client.get(source.infoHash)
  assert.equal(torrent?.name, 'set')

  const magnet = `magnet:?xt=urn:btih:${'ab'.repeat(20)}&dn=later`
  const later = await post(
    port,
    '/api/torrents',
    JSON.stringify({ source: magnet, paused: true, select: 'none' })
  )
  assert.deepEqual([later.status, JSON.parse(later.text).name], [201, 'later'])
  assert.equal(client.get('ab'.repeat(20))?.status, 'paused')
  assert.equal((await post(port, '/api/torrents', magnet, 'text/plain')).status, 201)
  assert.equal((await post(port, '/api/torrents', ` ${'cd'.repeat(20)} `, 'text/plain')).status, 201)
  assert.equal((await ask(port, `/${'cd'.repeat(20)}/x`)).status, 503)
  assert.equal((await post(port, `/api/torrents/${'cd'.repeat(20)}/select`, '{"files":[0]}')).status, 409)
  assert.equal(client.torrents.length, 3)

  const gone = await ask(port, `/api/torrents/${source.infoHash}?deleteFiles=1`, {
    method: 'DELETE',
    headers: intent
  })
  assert.equal(gone.status, 200)
  assert.equal(client.get(source.infoHash), undefined)
  assert.equal(
    (await ask(port, `/api/torrents/${source.infoHash}`, { method: 'DELETE', headers: intent })).status,
    404
  )
})

test('a .torrent comes from an http address, but never from a path of this machine', async (t) => {
  const { torrent: source } = await seed(t, { 'a.mp4': bytesOf(50_000) })
  const client = clientOf(t)
  const { port } = await serve(t, client, { privateSources: true })
  const asked: string[] = []
  const shop = http.createServer((request, response) => {
    asked.push(request.url ?? '')
    response.statusCode = request.url === '/a.torrent' ? 200 : 404
    response.end(request.url === '/a.torrent' ? source.torrentFile : '')
  })
  t.after(() => shop.close())
  await once(shop.listen(0, '127.0.0.1'), 'listening')
  const address = shop.address()
  const base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const add = (to: number, text: string): Promise<Reply> =>
    post(to, '/api/torrents', JSON.stringify({ source: text }))
  assert.equal((await add(port, `${base}/b.torrent`)).status, 400)
  assert.equal((await add(port, `"${base}/a.torrent"`)).status, 201)

  const own = path.join(import.meta.dirname, 'api.test.js')
  assert.ok(existsSync(own))
  for (const refused of [
    own,
    `"${own}"`,
    `file://${own}`,
    'ftp://a/b',
    '',
    'magnet:?xt=urn:btih:zz',
    'magnet:?dn=x'
  ]) {
    assert.equal((await add(port, refused)).status, 400, refused)
  }
  assert.equal(client.torrents.length, 1)
  assert.equal((await add(port, ` <magnet:?xt=urn:btih:${'ab'.repeat(20)}> `)).status, 201)

  asked.length = 0
  const guarded = await serve(t, client)
  for (const url of [`${base}/a.torrent`, `<${base}/a.torrent>`, base.replace('127.0.0.1', 'localhost')]) {
    const reply = await add(guarded.port, url)
    assert.equal(reply.status, 400)
    assert.match(reply.text, /refused: it leads to this machine or into a local network/)
  }
  assert.deepEqual(asked, [])
  shop.closeAllConnections()
})

test('only a request that may make changes gets the magnet link, whose trackers may have passkeys', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': bytesOf(50_000) })
  const open = await serve(t, client)
  const locked = await serve(t, client, { token: 'abc' })
  const fixed = await serve(t, client, { readOnly: true })
  const linkOf = async (port: number, query: string, headers: Record<string, string>): Promise<unknown> => {
    const reply = await ask(port, `/api/torrents/${torrent.infoHash}${query}`, { headers })
    return reply.status === 200 ? JSON.parse(reply.text).magnetURI : reply.status
  }
  const own = { origin: `http://127.0.0.1:${open.port}` }
  for (const [port, query, headers, expected] of [
    [open.port, '', intent, torrent.magnetURI],
    [open.port, '', own, torrent.magnetURI],
    [open.port, '', {}, undefined],
    [open.port, '', { origin: 'http://evil.example' }, undefined],
    [open.port, '', { ...intent, 'sec-fetch-site': 'cross-site' }, undefined],
    [fixed.port, '', intent, undefined],
    [locked.port, '', intent, 401],
    [locked.port, '?token=abc', intent, torrent.magnetURI],
    [locked.port, '?token=abc', {}, undefined]
  ] as const) {
    assert.equal(await linkOf(port, query, headers), expected)
  }
})

test('bodies are bounded and checked', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': bytesOf(50_000) })
  const { port } = await serve(t, client)
  const select = `/api/torrents/${torrent.infoHash}/select`
  const table: readonly (readonly [url: string, body: string | Uint8Array, type: string, status: number])[] =
    [
      ['/api/torrents', '{', 'application/json', 400],
      ['/api/torrents', '[]', 'application/json', 400],
      ['/api/torrents', 'null', 'application/json', 400],
      ['/api/torrents', '{}', 'application/json', 400],
      ['/api/torrents', `{"source":"${'ab'.repeat(20)}","paused":1}`, 'application/json', 400],
      ['/api/torrents', `{"source":"${'ab'.repeat(20)}","select":[0]}`, 'application/json', 400],
      ['/api/torrents', bytesOf(70_000), 'application/json; charset=utf-8', 413],
      ['/api/torrents', 'x'.repeat(20), 'application/x-bittorrent', 400],
      ['/api/torrents', 'd1:ae', 'application/x-bittorrent', 400],
      ['/api/torrents', '', 'application/x-bittorrent', 400],
      [select, '{"files":1}', 'application/json', 400],
      [select, '{"files":"some"}', 'application/json', 400],
      [select, '{"files":["0"]}', 'application/json', 400],
      [select, '{"files":[7]}', 'application/json', 400],
      [select, '{"files":[0],"selected":"no"}', 'application/json', 400],
      [select, '{"files":[0],"priority":"high"}', 'application/json', 400],
      [select, '{"files":[0],"priority":9}', 'application/json', 400],
      [select, '{"files":[0],"priority":7}', 'application/json', 200]
    ]
  for (const [url, body, type, status] of table) {
    const reply = await post(port, url, body, type)
    assert.equal(reply.status, status, `${body.toString().slice(0, 40)} ${reply.text}`)
  }
  assert.equal(torrent.files[0]?.priority, 7)

  const socket = await connect(t, port)
  socket.write(
    'POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nX-Piecewise: 1\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n'
  )
  socket.write(`20000\r\n${'x'.repeat(0x20000)}\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  assert.match(text, /^HTTP\/1\.1 413 /)
  const early = await connect(t, port)
  early.write(
    'POST /api/torrents HTTP/1.1\r\nHost: localhost\r\nX-Piecewise: 1\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nx'
  )
  early.resetAndDestroy()
  assert.equal((await ask(port, '/api/torrents')).status, 200)
})

test('torrents are paused and resumed, and files selected', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.mp4': bytesOf(50_000), 'b.mp4': bytesOf(40_000) })
  const { port } = await serve(t, client)
  const url = `/api/torrents/${torrent.infoHash}`
  assert.equal(JSON.parse((await post(port, `${url}/pause`, '')).text).status, 'paused')
  assert.equal(JSON.parse((await post(port, `${url}/resume`, '')).text).status, 'downloading')
  await post(port, `${url}/select`, '{"files":[0,1],"selected":false}')
  assert.deepEqual(
    torrent.files.map(({ selected }) => selected),
    [false, false]
  )
  await post(port, `${url}/select`, '{"files":[1]}')
  assert.deepEqual(
    torrent.files.map(({ selected }) => selected),
    [false, true]
  )
  await post(port, `${url}/select`, '{"files":"all","priority":2}')
  assert.deepEqual(
    torrent.files.map(({ priority }) => priority),
    [2, 2]
  )
  const alone = await serve(t, torrent)
  assert.equal((await post(alone.port, `${url}/pause`, '')).status, 200)
  assert.equal((await ask(alone.port, url, { method: 'DELETE', headers: intent })).status, 405)
  assert.equal((await post(alone.port, '/api/torrents', '{}')).status, 405)
  assert.equal((await ask(port, `${url}/pause`)).status, 405)
})

test('events report all torrents and the one shown, about once a second', async (t) => {
  const { client, torrent } = await lonely(t, { 'a.mp4': bytesOf(50_000), 'b.mp4': '' })
  const { port } = await serve(t, client)
  const stream = torrent.files.find(({ name }) => name === 'a.mp4')?.createReadStream({ start: 25_000 })
  const socket = await connect(t, port)
  socket.write(`GET /api/events?torrent=${torrent.infoHash} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  await until('two details', () => text.split('event: detail').length, { is: (value) => value > 2 })
  assert.match(text, /^HTTP\/1\.1 200 .*text\/event-stream/s)
  const detail = JSON.parse(/event: detail\ndata: (.*)\n\n/.exec(text)?.[1] ?? '')
  assert.equal(detail.map, '----')
  assert.equal(detail.selected, '11')
  assert.deepEqual(detail.fileProgress.toSorted(), [0, 1000])
  assert.deepEqual(detail.cursors, [0.5])
  assert.deepEqual(JSON.parse(/event: torrents\ndata: (.*)\n\n/.exec(text)?.[1] ?? '').length, 1)
  stream?.destroy()
  assert.equal((await ask(port, '/api/events', { method: 'HEAD' })).status, 200)

  const watchers = await Promise.all(Array.from({ length: 31 }, () => connect(t, port)))
  for (const watcher of watchers) watcher.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await Promise.all(watchers.map((watcher) => once(watcher, 'data')))
  assert.equal((await ask(port, '/api/events')).status, 503)
  for (const watcher of watchers) watcher.destroy()
  const status = async (): Promise<number> => (await ask(port, '/api/events', { method: 'HEAD' })).status
  assert.equal(await until('an answer', status, { is: (value) => value !== 503 }), 200)
})
