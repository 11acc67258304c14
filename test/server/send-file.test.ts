import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, bytesOf, lonely, seed, serve } from './support.ts'

const film = bytesOf(3_000_001)

test('a file is served whole, in part, and by its conditions', async (t) => {
  const { client, torrent } = await seed(t, { 'film.mp4': film, empty: '' })
  const { port } = await serve(t, client)
  const index = torrent.files.findIndex(({ name }) => name === 'film.mp4')
  const url = `/${torrent.infoHash}/set/film.mp4`
  const etag = `"${torrent.infoHash}-${index}"`

  const whole = await ask(port, url)
  assert.equal(whole.status, 200)
  assert.ok(whole.body.equals(film))
  assert.equal(whole.headers['content-length'], '3000001')
  assert.equal(whole.headers['content-type'], 'video/mp4')
  assert.equal(whole.headers['accept-ranges'], 'bytes')
  assert.equal(whole.headers.etag, etag)
  assert.equal(whole.headers['content-disposition'], 'inline; filename="film.mp4"')
  assert.equal(
    (await ask(port, `${url}?download=1`)).headers['content-disposition'],
    'attachment; filename="film.mp4"'
  )
  assert.ok(
    (await ask(port, url.toUpperCase().replace('/SET/FILM.MP4', '/%73et/film%2Emp4'))).body.equals(film)
  )

  const parts = [
    ['bytes=0-0', 0, 1],
    ['bytes=100-2000000', 100, 2_000_001],
    ['bytes=2999999-', 2_999_999, 3_000_001],
    ['bytes=-10', 2_999_991, 3_000_001],
    ['bytes=5-9000000', 5, 3_000_001]
  ] as const
  for (const [range, start, end] of parts) {
    const part = await ask(port, url, { headers: { range } })
    assert.equal(part.status, 206, range)
    assert.equal(part.headers['content-range'], `bytes ${start}-${end - 1}/3000001`)
    assert.ok(part.body.equals(film.subarray(start, end)), range)
  }
  const beyond = await ask(port, url, { headers: { range: 'bytes=3000001-' } })
  assert.equal(beyond.status, 416)
  assert.equal(beyond.headers['content-range'], 'bytes */3000001')

  const far = 'Thu, 01 Jan 2099 00:00:00 GMT'
  const conditions: readonly (readonly [headers: Record<string, string>, status: number])[] = [
    [{ 'if-none-match': etag }, 304],
    [{ 'if-none-match': `"other", W/${etag}` }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"other"' }, 200],
    [{ 'if-none-match': '"other"', 'if-modified-since': far }, 200],
    [{ 'if-modified-since': far }, 200],
    [{ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }, 200],
    [{ 'if-match': etag }, 200],
    [{ 'if-match': '*' }, 200],
    [{ 'if-match': `W/${etag}` }, 412],
    [{ 'if-match': '"other"' }, 412],
    [{ 'if-match': '"other"', 'if-none-match': etag }, 412],
    [{ 'if-range': etag, range: 'bytes=0-1' }, 206],
    [{ 'if-range': `W/${etag}`, range: 'bytes=0-1' }, 200],
    [{ 'if-range': '"other"', range: 'bytes=0-1' }, 200],
    [{ 'if-range': far, range: 'bytes=0-1' }, 200],
    [{ 'if-range': '"other"', range: 'bytes=9000000-' }, 200],
    [{ 'if-none-match': etag, range: 'bytes=0-1' }, 304]
  ]
  for (const [headers, status] of conditions) {
    const reply = await ask(port, url, { headers })
    assert.equal(reply.status, status, JSON.stringify(headers))
    assert.equal(
      reply.body.length,
      { 200: film.length, 206: 2 }[status] ?? (status === 304 ? 0 : reply.body.length)
    )
  }

  const empty = await ask(port, `/${torrent.infoHash}/set/empty`)
  assert.deepEqual([empty.status, empty.body.length, empty.headers['content-length']], [200, 0, '0'])
  for (const range of ['bytes=0-', 'bytes=0-0', 'bytes=-5', 'bytes=0-0,5-9']) {
    const ranged = await ask(port, `/${torrent.infoHash}/set/empty`, { headers: { range } })
    assert.deepEqual([ranged.status, ranged.headers['content-length']], [200, '0'], range)
    assert.equal(ranged.headers['content-range'], undefined)
  }
  assert.deepEqual(torrent.streams, [])
})

test('several ranges come as multipart/byteranges, in the requested order', async (t) => {
  const { client, torrent } = await seed(t, { 'film.mp4': film })
  const { port } = await serve(t, client)
  const url = `/${torrent.infoHash}/set/film.mp4`
  const reply = await ask(port, url, { headers: { range: 'bytes=2000000-2999999,0-9,-1' } })
  assert.equal(reply.status, 206)
  const boundary =
    /^multipart\/byteranges; boundary=(\w+)$/.exec(reply.headers['content-type'] ?? '')?.[1] ?? ''
  const head = (start: number, end: number): string =>
    `\r\n--${boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes ${start}-${end - 1}/3000001\r\n\r\n`
  const expected = Buffer.concat([
    Buffer.from(head(2_000_000, 3_000_001)),
    film.subarray(2_000_000, 3_000_001),
    Buffer.from(head(0, 10)),
    film.subarray(0, 10),
    Buffer.from(`\r\n--${boundary}--\r\n`)
  ])
  assert.equal(reply.headers['content-length'], String(expected.length))
  assert.ok(reply.body.equals(expected))
  assert.equal(reply.headers['content-range'], undefined)
  const many = Array.from({ length: 100 }, (_, n) => `${n * 1000}-${n * 1000}`).join()
  assert.equal((await ask(port, url, { headers: { range: `bytes=${many}` } })).status, 200)
  assert.deepEqual(torrent.streams, [])
})

test('HEAD describes the whole file and reads nothing', async (t) => {
  const { client, torrent } = await lonely(t, { 'film.mp4': bytesOf(100_000) })
  const { port } = await serve(t, client)
  for (const headers of [{}, { range: 'bytes=0-9' }]) {
    const reply = await ask(port, `/${torrent.infoHash}/set/film.mp4`, { method: 'HEAD', headers })
    assert.deepEqual([reply.status, reply.headers['content-length'], reply.body.length], [200, '100000', 0])
    assert.equal(reply.headers['accept-ranges'], 'bytes')
    assert.deepEqual(torrent.streams, [])
  }
})

test('DLNA questions are answered', async (t) => {
  const { client, torrent } = await seed(t, { 'film.mp4': 'film' })
  const { port } = await serve(t, client)
  const url = `/${torrent.infoHash}/set/film.mp4`
  const reply = await ask(port, url, {
    headers: { 'getcontentFeatures.dlna.org': '1', 'transferMode.dlna.org': 'Streaming' }
  })
  assert.match(String(reply.headers['contentfeatures.dlna.org']), /^DLNA\.ORG_OP=01;/)
  assert.equal(reply.headers['transfermode.dlna.org'], 'Streaming')
  const plain = await ask(port, url, { headers: { 'transferMode.dlna.org': 'x\ty' } })
  assert.equal(plain.headers['transfermode.dlna.org'], undefined)
  assert.equal(plain.headers['contentfeatures.dlna.org'], undefined)

  const seek = { 'TimeSeekRange.dlna.org': 'npt=10.0-' }
  for (const method of ['GET', 'HEAD'])
    assert.equal((await ask(port, url, { method, headers: seek })).status, 406)
  const both = await ask(port, url, { headers: { ...seek, range: 'bytes=1-' } })
  assert.deepEqual([both.status, both.text], [206, 'ilm'])
})

test('unknown addresses and other methods are refused with a sentence', async (t) => {
  const { client, torrent } = await seed(t, { 'film.mp4': 'film', 'deep/note.txt': 'note' })
  const { port } = await serve(t, client)
  const hash = torrent.infoHash
  const table: readonly (readonly [url: string, status: number])[] = [
    ['/x', 404],
    ['/0', 404],
    [`/${'0'.repeat(40)}/`, 404],
    [`/${'0'.repeat(40)}.m3u`, 404],
    [`/${hash}.zip`, 404],
    [`/${hash}/film.mp4`, 404],
    [`/${hash}/set`, 404],
    [`/${hash}/set/`, 404],
    [`/${hash}/set/deep%2Fnote.txt`, 404],
    [`/${hash}/set/x/../film.mp4`, 404],
    [`/${hash}/set//film.mp4`, 404],
    [`/${hash}/set/%2e%2e/set/film.mp4`, 404],
    [`/${hash}/set/%ff`, 400],
    [`/${hash}/%`, 400],
    ['/api/x', 404],
    [`/api/torrents/${hash}/x`, 404],
    [`/api/torrents/${hash}/pause/x`, 404],
    [`/api/torrents/${'0'.repeat(40)}`, 404],
    [`/${hash}/set/deep/note.txt`, 200],
    [`/${hash}/set/deep/note.txt?x=%`, 200],
    [`http://127.0.0.1:${port}/${hash}/set/film.mp4`, 200]
  ]
  for (const [url, status] of table) {
    const reply = await ask(port, url)
    assert.equal(reply.status, status, url)
    assert.ok(reply.text.length > 3, url)
  }
  for (const [url, allow] of [
    [`/${hash}/set/film.mp4`, 'GET, HEAD'],
    [`/${hash}.m3u`, 'GET, HEAD'],
    ['/', 'GET, HEAD'],
    ['/api/events', 'GET, HEAD'],
    ['/api/torrents', 'GET, HEAD, POST'],
    [`/api/torrents/${hash}`, 'GET, HEAD, DELETE']
  ] as const) {
    const reply = await ask(port, url, { method: 'PUT', body: 'x' })
    assert.deepEqual([reply.status, reply.headers.allow], [405, allow], url)
  }
})

test('a server of one torrent also accepts the index of a file', async (t) => {
  const { torrent } = await seed(t, { 'a.txt': 'first', 'b.txt': 'second' })
  const { port } = await serve(t, torrent)
  const texts = await Promise.all(torrent.files.map((_, n) => ask(port, `/${n}`)))
  assert.deepEqual(texts.map(({ text }) => text).sort(), ['first', 'second'])
  assert.equal((await ask(port, '/2')).status, 404)
  assert.equal((await ask(port, `/${torrent.infoHash}/set/a.txt`)).text, 'first')
})

test('files that could run scripts get an origin of their own', async (t) => {
  const { client, torrent } = await seed(t, {
    'a.html': '<script>1</script>',
    'b.svg': '<svg/>',
    'c.webm': 'x',
    'd.png': 'x',
    noname: 'x'
  })
  const { port } = await serve(t, client)
  for (const [name, sandboxed] of Object.entries({
    'a.html': true,
    'b.svg': true,
    noname: true,
    'c.webm': false,
    'd.png': false
  })) {
    const { headers } = await ask(port, `/${torrent.infoHash}/set/${name}`)
    assert.equal(/^sandbox;/.test(String(headers['content-security-policy'])), sandboxed, name)
    assert.equal(headers['x-content-type-options'], 'nosniff')
  }
})
