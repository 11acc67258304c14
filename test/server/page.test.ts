import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { Torrent } from '../../lib/index.ts'
import { contentDisposition, encodeElement, escapeHtml } from '../../lib/server/disposition.ts'
import { playlist, playlistFiles } from '../../lib/server/playlist.ts'
import { pieceMap } from '../../lib/server/snapshot.ts'
import { ask, clientOf, seed, serve } from './support.ts'

const hostile = `<img src=x onerror=alert(1)>"'&amp; #%?.mp4`
const names = [
  hostile,
  'ünï ©ödé 日本語 🎬.mkv',
  'a+b=c;d,e@f!.mp3',
  "it's (1)*.mp4",
  '%41%zz.mp4',
  '10.mp4',
  '9.mp4'
]

test('a file of any name is found by page, playlist and API, and keeps its name', async (t) => {
  const { client, torrent } = await seed(
    t,
    Object.fromEntries(names.map((name) => [name, `content of ${name}`]))
  )
  const { port } = await serve(t, client)
  const page = (await ask(port, `/${torrent.infoHash}/`)).text
  const list = (await ask(port, `/${torrent.infoHash}.m3u`)).text
  const api = JSON.parse((await ask(port, `/api/torrents/${torrent.infoHash}`)).text)
  for (const name of names) {
    const url = `/${torrent.infoHash}/set/${encodeURIComponent(name)}`
    const reply = await ask(port, url)
    assert.equal(reply.text, `content of ${name}`)
    const [, ascii = '', extended] =
      /^inline; filename="([ -~]*?)"(?:; filename\*=UTF-8''([\w%!#$&+.^`|~-]*))?$/.exec(
        String(reply.headers['content-disposition'])
      ) ?? []
    assert.equal(extended === undefined ? ascii : decodeURIComponent(extended), name)
    assert.ok(page.includes(`<a href="${escapeHtml(url)}">${escapeHtml(`set/${name}`)}</a>`), name)
    assert.ok(list.includes(`#EXTINF:-1,${name}\nhttp://127.0.0.1:${port}${url}\n`), name)
    assert.ok(api.files.some((file: { url: string }) => file.url === url))
  }
  assert.ok(!page.includes('<img'))
  assert.ok(
    list.indexOf('/9.mp4') < list.indexOf('/10.mp4'),
    'names with numbers are in the order that people expect'
  )
})

test('names cannot write lines of a playlist', async () => {
  const files = [
    { name: 'a\n#EXTM3U\r\nhttp://evil.example/\u2028.mp4', path: 'x/a\nb\ud800.mp4', type: 'video/mp4' }
  ]
  const torrent = { infoHash: '0'.repeat(40), files } as unknown as Torrent
  assert.equal(
    [...playlist(torrent, await playlistFiles(torrent), 'http://localhost', '')].join(''),
    `#EXTM3U\n#EXTINF:-1,a #EXTM3U http://evil.example/ .mp4\nhttp://localhost/${'0'.repeat(40)}/x/a%0Ab%EF%BF%BD.mp4\n`
  )
})

test('a playlist has the playable files, or all', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': 'x', 'b.txt': 'x' })
  const { port } = await serve(t, client)
  const lines = (text: string): number => text.split('\n').filter((line) => line.startsWith('http')).length
  assert.equal(lines((await ask(port, `/${torrent.infoHash}.m3u8`)).text), 1)
  const other = await seed(t, { 'a.txt': 'x', 'b.txt': 'x' })
  const bare = await serve(t, other.client)
  assert.equal(lines((await ask(bare.port, `/${other.torrent.infoHash}.m3u`)).text), 2)
})

test('the page is self-contained, and its policy lets nothing else run', async (t) => {
  const { port } = await serve(t, clientOf(t))
  const { text, body, headers } = await ask(port, '/')
  assert.ok(body.length < 60_000, `the page has ${body.length} bytes`)
  const policy = String(headers['content-security-policy'])
  assert.match(policy, /^default-src 'none'; /)
  assert.doesNotMatch(policy, /unsafe/)
  for (const element of ['script', 'style']) {
    const [found, ...more] = text.matchAll(new RegExp(`<${element}[^>]*>([^]*?)</${element}>`, 'g'))
    assert.equal(more.length, 0)
    assert.ok(
      policy.includes(
        `${element}-src 'sha256-${createHash('sha256')
          .update(found?.[1] ?? '')
          .digest('base64')}'`
      )
    )
  }
  assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\son\w+="/)
  assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//)
  assert.doesNotMatch(text, / style="/)
  assert.equal((await ask((await serve(t, clientOf(t), { page: false })).port, '/')).status, 404)
})

test('dispositions, elements and HTML can hold any text', () => {
  assert.equal(contentDisposition('inline', 'a.txt'), 'inline; filename="a.txt"')
  assert.equal(
    contentDisposition('attachment', 'a"\\\n%é'),
    `attachment; filename="a_____"; filename*=UTF-8''a%22%5C%0A%25%C3%A9`
  )
  assert.equal(
    contentDisposition('inline', "é'()*"),
    `inline; filename="_'()*"; filename*=UTF-8''%C3%A9%27%28%29%2A`
  )
  assert.equal(encodeElement('a/b\ud800'), 'a%2Fb%EF%BF%BD')
  assert.equal(escapeHtml(`<a b="c" d='e'>&`), '&#60;a b=&#34;c&#34; d=&#39;e&#39;&#62;&#38;')
})

test('the piece map has a letter for the state of each cell', () => {
  const cells = (
    counts: readonly [
      size: number,
      verified: number,
      checking: number,
      partial: number,
      unavailable: number
    ][]
  ): string =>
    pieceMap(
      counts.map(([end, verified, checking, partial, unavailable]) => ({
        start: 0,
        end,
        verified,
        checking,
        partial,
        unavailable
      }))
    )
  assert.equal(
    cells([
      [1, 1, 0, 0, 0],
      [1, 0, 0, 0, 0],
      [1, 0, 0, 1, 0],
      [1, 0, 0, 0, 1],
      [1, 0, 1, 0, 0]
    ]),
    '90a-x'
  )
  assert.equal(
    cells([
      [2, 2, 0, 0, 0],
      [2, 1, 0, 0, 1],
      [2, 1, 0, 1, 0],
      [3, 2, 1, 0, 0],
      [2000, 1999, 0, 0, 1]
    ]),
    '94ex8'
  )
  assert.equal(cells([]), '')
})
