// Chromium shows the page, and plays media that are still downloading.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import http, { type Server } from 'node:http'
import path from 'node:path'
import test from 'node:test'
import { makeWav } from '../../examples/wav.ts'
import { type Torrent, TorrentError } from '../../lib/index.ts'
import { until } from '../support/until.ts'
import { FaultyStorage } from '../torrent/faulty-storage.ts'
import { holds, type Look, openPage, type Page, screenshot } from './support/chromium.ts'
import { writeRandomFile } from './support/data.ts'
import { needs } from './support/need.ts'
import { hurry, makeFilm, PartlyThere, portOf, untilUnread } from './support/partly-there.ts'

const mebibyte = 1 << 20
const hostile = `<img src=x onerror=alert(1)>"'&amp; <b>bold<b> #%.mp4`
const longName = `${'a-name-without-any-space-'.repeat(7)}end.bin`

async function number(page: Page, expression: string): Promise<number> {
  const value = await page.evaluate(expression)
  assert.ok(typeof value === 'number', `${expression} is ${value}`)
  return value
}

/** Presses play, and waits until the player has moved, and has moved again at 80 %. */
async function playAndSeek(page: Page, name: RegExp): Promise<void> {
  await page.getByRole('button', { name }).click()
  await holds(page, 'video.currentTime > 0.3')
  assert.equal(await page.locator('#trouble').isVisible(), false)
  await page.evaluate('void (video.currentTime = 0.8 * video.duration)')
  await holds(page, '!video.seeking && video.currentTime > 0.8 * video.duration + 0.3')
  const before = await number(page, 'video.currentTime')
  await holds(page, `video.currentTime > ${before} + 0.3`)
}

test(
  'Chromium plays sound and film while they download, and seeks in them',
  needs(['chromium', 'ffmpeg'], 120_000),
  async (t) => {
    const partly = new PartlyThere(t, 'browser-play')
    const data = path.join(partly.folder, 'data', 'set')
    mkdirSync(data, { recursive: true })
    writeFileSync(path.join(data, 'song.wav'), makeWav(200))
    makeFilm(path.join(data, 'clip.webm'), 20, [
      ...['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '5M', '-minrate', '5M'],
      ...['-maxrate', '5M', '-bufsize', '5M', '-g', '50', '-c:a', 'libopus']
    ])
    const { torrent, origin } = await partly.serve(data, [mebibyte, mebibyte, mebibyte / 2])
    const { page, assertCalm } = await openPage(partly, `${origin}/`)
    await playAndSeek(page, /^Play .*clip\.webm$/)
    assert.equal(await number(page, 'video.videoWidth'), 640)
    const clip = torrent.progress
    await playAndSeek(page, /^Play .*song\.wav$/)
    assert.ok(torrent.progress < 1, 'the download was complete before it was played')
    t.diagnostic(`film and sound at 80 % with ${clip * 100} % and ${torrent.progress * 100} % downloaded`)
    assert.ok(torrent.streams.length > 0)
    await screenshot(page, 'player')
    await page.locator('#stop').click()
    await untilUnread(torrent)
    assertCalm()
  }
)

test(
  'the page says what Chromium cannot play, with a URL for other players',
  needs(['chromium'], 60_000),
  async (t) => {
    const partly = new PartlyThere(t, 'browser-unplayable')
    const file = path.join(partly.folder, 'data', 'film.mkv')
    writeRandomFile(file, 300_000, 'film')
    const { torrent, origin } = await partly.serve(file, [mebibyte])
    const { page } = await openPage(partly, `${origin}/`)
    await page.getByRole('button', { name: /^Play/ }).click()
    await page.locator('#trouble').waitFor()
    await page.getByRole('button', { name: 'Copy its address' }).click()
    await page.locator('#notes', { hasText: /VLC or mpv/ }).waitFor()
    assert.equal(
      await page.evaluate('navigator.clipboard.readText()'),
      `${origin}/${torrent.infoHash}/film.mkv`
    )
    await page.locator('#stop').click()
    await untilUnread(torrent)
  }
)

test(
  'playing a paused torrent resumes it, or the page says that it waits',
  needs(['chromium'], 60_000),
  async (t) => {
    const partly = new PartlyThere(t, 'browser-paused')
    const file = path.join(partly.folder, 'data', 'song.wav')
    mkdirSync(path.dirname(file))
    writeFileSync(file, makeWav(200))
    const { torrent, origin } = await partly.serve(file, [2 * mebibyte])
    torrent.pause()
    const { page, assertCalm } = await openPage(partly, `${origin}/`)
    await page.locator('#status', { hasText: 'paused' }).waitFor()
    await page.getByRole('button', { name: /^Play/ }).click()
    await holds(page, 'video.currentTime > 0.3')
    assert.equal(torrent.status, 'downloading')
    assert.equal(await page.locator('#halt').isVisible(), false)
    await page.locator('#pause').click()
    await page.locator('#halt').waitFor()
    assert.ok(torrent.progress < 1, 'the download was complete before it was paused')

    const locked = await partly.listen(torrent, { readOnly: true })
    const { page: other } = await openPage(partly, `${locked}/`)
    await other.getByRole('button', { name: /^Play/ }).click()
    await other.locator('#halt', { hasText: 'paused' }).waitFor()
    assert.equal(torrent.status, 'paused')
    assertCalm()
  }
)

interface Shown {
  readonly torrent: Torrent
  readonly other: Torrent
  readonly client: ReturnType<PartlyThere['client']>
  readonly origin: string
}

/** Shows a client with one torrent in mid-download, whose names could break pages, and a complete one. */
async function shown(partly: PartlyThere): Promise<Shown> {
  const folder = path.join(partly.folder, 'data', 'set')
  writeRandomFile(path.join(folder, hostile), 3_000_000, 'hostile')
  writeRandomFile(path.join(folder, 'extras', longName), 2_000_000, 'long')
  writeRandomFile(path.join(folder, 'readme.txt'), 20_000, 'readme')
  const whole = path.join(partly.folder, 'data', 'whole.bin')
  writeRandomFile(whole, 100_000, 'whole')
  const client = partly.client()
  const seeders = await partly.seeders(folder, [150_000, 100_000], 16384)
  const torrent = await client.add(seeders.bytes, { peers: seeders.peers })
  const other = await client.seed(whole)
  return { torrent, other, client, origin: await partly.listen(client) }
}

/** Visible texts with less contrast to their background than WCAG AA requires. */
const pale = `(() => {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const rgba = (colour) => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data] }
  const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b }
  const found = []
  for (const node of document.querySelectorAll('body *')) {
    if (![...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !node.checkVisibility() || node.closest('script,noscript')) continue
    let behind = node
    while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement
    const [a, b] = [getComputedStyle(node).color, behind ? getComputedStyle(behind).backgroundColor : 'white'].map((c) => light(rgba(c).slice(0, 3))).sort((x, y) => y - x)
    const ratio = (a + 0.05) / (b + 0.05)
    if (ratio < 4.5) found.push(node.textContent.slice(0, 30) + ' ' + ratio.toFixed(2))
  }
  return found
})()`

/** The bytes of a canvas. Reads a copy, because Chromium complains about canvases that are read often. */
const pixelsOf = (id: string): string => `(() => {
  const { width, height } = ${id}
  const pen = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true })
  pen.drawImage(${id}, 0, 0)
  return pen.getImageData(0, 0, width, height)
})()`

/** Colours of a canvas with their counts. */
const coloursOf = (id: string): string => `(() => {
  const { data } = ${pixelsOf(id)}
  const colours = new Set()
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) colours.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2])
  return colours.size
})()`

const looks: readonly (Look & { readonly name: string })[] = [
  { name: 'light', scheme: 'light' },
  { name: 'dark', scheme: 'dark' },
  { name: 'light on a phone', scheme: 'light', phone: true },
  { name: 'dark on a phone', scheme: 'dark', phone: true }
]

for (const look of looks) {
  test(`the page shows a download, ${look.name}`, needs(['chromium'], 60_000), async (t) => {
    const partly = new PartlyThere(t, 'browser-look')
    const { torrent, origin } = await shown(partly)
    torrent.files.find(({ name }) => name === longName)?.createReadStream({ start: 1_000_000 })
    const { page, assertCalm } = await openPage(partly, `${origin}/${torrent.infoHash}/`, look)
    await holds(page, "document.querySelectorAll('#files li').length === 3")
    await holds(page, "document.querySelectorAll('#peers tr').length === 2")
    await until('some pieces', () => torrent.progress > 0.15)
    await holds(page, `${coloursOf('map')} > 1`)
    await holds(page, `${coloursOf('graph')} > 1`)
    await holds(
      page,
      "[...document.querySelectorAll('#peers tr')].some(({ innerText }) => /piece \\d+ · \\d+ asked/.test(innerText))"
    )
    const cells = await page.evaluate(
      "[...document.querySelectorAll('#peers tr')].map((row) => row.innerText)"
    )
    assert.match(String(cells), /piecewise[\s\S]*127\.0\.0\.1:\d+[\s\S]*\/s/)
    assert.match(String(await page.locator('#facts').textContent()), /%\sof\s5\.0\sMB\s· .*\s· 2\speers/)

    // Names from a torrent are shown as text.
    assert.ok(String(await page.locator('#files').textContent()).includes(hostile))
    assert.equal(await page.locator('#shown img, #shown b').count(), 0)

    const back = await number(page, `Number(/\\d+/.exec(getComputedStyle(document.body).backgroundColor)[0])`)
    assert.equal(look.scheme === 'dark' ? back < 64 : back > 192, true, `the page's background is ${back}`)
    assert.deepEqual(await page.evaluate(pale), [], 'all text has enough contrast')
    const overflow = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'
    assert.equal(await number(page, overflow), 0, 'nothing sticks out to the side')
    assert.equal(await number(page, 'crowd.scrollWidth - crowd.clientWidth'), 0, 'all of a peer is in sight')
    const bytes = `performance.getEntriesByType('navigation')[0].decodedBodySize`
    assert.ok((await number(page, bytes)) < 60_000)
    await screenshot(page, look.name)
    assertCalm()
  })
}

/** Centre of the cursor colour on the map, from 0 to 1 of its width; -1 without any. */
const cursorOnMap = `(() => {
  const { data, width } = ${pixelsOf('map')}
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--cursor').trim()
  const found = []
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = data.subarray(at, at + 3)
    if ('#' + (r << 16 | g << 8 | b).toString(16).padStart(6, '0') === colour) found.push((at / 4) % width)
  }
  return found.length === 0 ? -1 : (Math.min(...found) + Math.max(...found)) / 2 / width
})()`

test('the map shows where streams read', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-cursor')
  const file = path.join(partly.folder, 'data', 'film.bin')
  writeRandomFile(file, 10 * 65536, 'film')
  const { bytes } = await partly.seeders(file, [mebibyte])
  const torrent = await partly.client().add(bytes)
  for (const scheme of ['light', 'dark'] as const) {
    const { page, assertCalm } = await openPage(partly, `${await partly.listen(torrent)}/`, { scheme })
    await holds(page, "map.ariaLabel?.includes('0 streams')")
    assert.equal(await number(page, cursorOnMap), -1)
    const stream = torrent.files[0]?.createReadStream({ start: 7 * 65536 + 100 })
    await holds(page, `Math.abs(${cursorOnMap} - 0.75) < 0.01`)
    stream?.seek(2 * 65536 + 100)
    await holds(page, `Math.abs(${cursorOnMap} - 0.25) < 0.01`)
    stream?.destroy()
    await holds(page, `${cursorOnMap} === -1`)
    assertCalm()
  }
})

test('all controls of the page work', needs(['chromium'], 90_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-page')
  const { torrent, other, client, origin } = await shown(partly)
  const { page, assertCalm } = await openPage(partly, `${origin}/`)
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })

  // The list leads to each torrent, and back again.
  await holds(page, "document.querySelectorAll('#torrents li').length === 2")
  await screenshot(page, 'list')
  await page.locator('#torrents a', { hasText: torrent.name }).click()
  await page.locator('#shown').waitFor()
  assert.ok(page.url().endsWith(`/${torrent.infoHash}/`))
  await page.evaluate('void history.back()')
  await page.locator('#shown').waitFor({ state: 'hidden' })
  await page.evaluate('void history.forward()')
  await page.locator('#shown').waitFor()

  await button('Pause').click()
  await page.locator('#status', { hasText: 'paused' }).waitFor()
  assert.equal(torrent.status, 'paused')
  await button('Resume').click()
  await page.locator('#status', { hasText: 'downloading' }).waitFor()
  assert.equal(torrent.status, 'downloading')

  const chosen = (): boolean[] => torrent.files.map(({ selected }) => selected)
  await button('None').click()
  await until('nothing to be chosen', () => !chosen().includes(true))
  await page.getByRole('checkbox', { name: /readme\.txt$/ }).check()
  await until('one file to be chosen', () => chosen().filter(Boolean).length === 1)
  assert.ok(torrent.files.find(({ name }) => name === 'readme.txt')?.selected)
  await button('All').click()
  await until('all to be chosen', () => !chosen().includes(false))

  await button('Copy magnet link').click()
  await page.locator('#notes', { hasText: 'copied' }).waitFor()
  assert.equal(await page.evaluate('navigator.clipboard.readText()'), torrent.magnetURI)

  // A magnet link that names a peer.
  const third = path.join(partly.folder, 'data', 'third.bin')
  writeRandomFile(third, 200_000, 'third')
  const magnets = await partly.seeders(third, [mebibyte])
  const source = magnets.clients[0]?.torrents[0]
  assert.ok(source !== undefined)
  await page.locator('#source').fill(`${source.magnetURI}&x.pe=${magnets.peers[0]}`)
  await button('Add').click()
  await page.locator('#name', { hasText: 'third.bin' }).waitFor()
  await until('the magnet link to be complete', () => client.get(source.infoHash)?.done === true)
  await page.locator('#status', { hasText: 'seeding' }).waitFor()

  // An invalid source is reported, and the page continues.
  await page.locator('#source').fill('nonsense')
  await button('Add').click()
  await page.locator('#notes', { hasText: 'not a magnet link' }).waitFor()

  // A .torrent that is dropped anywhere.
  const fourth = path.join(partly.folder, 'data', 'fourth.bin')
  writeRandomFile(fourth, 200_000, 'fourth')
  const { bytes } = await partly.seeders(fourth, [mebibyte])
  await page.evaluate(`(() => {
    const bytes = Uint8Array.from(atob('${Buffer.from(bytes).toString('base64')}'), (letter) => letter.charCodeAt(0))
    const dataTransfer = new DataTransfer()
    dataTransfer.items.add(new File([bytes], 'fourth.torrent'))
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }))
  })()`)
  await page.locator('#name', { hasText: 'fourth.bin' }).waitFor()
  assert.equal(client.torrents.length, 4)

  // Removing asks for confirmation, with focus on the answer that changes nothing.
  await page.locator('#torrents a', { hasText: 'whole.bin' }).click()
  await page.locator('#name', { hasText: 'whole.bin' }).waitFor()
  await button('Remove…').click()
  await page.locator('#confirm').waitFor()
  await screenshot(page, 'confirm')
  await page.keyboard.press('Enter')
  await page.locator('#confirm').waitFor({ state: 'hidden' })
  assert.ok(client.torrents.includes(other))
  await button('Remove…').click()
  await button('Remove').click()
  await until('the torrent to go', () => !client.torrents.includes(other))
  await holds(page, "document.querySelectorAll('#torrents li').length === 3")
  const complaints = 'the server says 400 to nonsense'
  assert.throws(assertCalm, /400/, complaints)
})

test('the page says why a torrent has stopped, as text', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-fault')
  const file = path.join(partly.folder, 'data', 'film.bin')
  writeRandomFile(file, 10 * 65536, 'film')
  const { bytes, peers } = await partly.seeders(file, [mebibyte])
  const storage = new FaultyStorage()
  storage.writeFault = new TorrentError('ERR_STORAGE_FULL', hostile)
  const torrent = await partly.client().add(bytes, { storage, select: 'none' })
  torrent.on('error', () => {})
  const { page, assertCalm } = await openPage(partly, `${await partly.listen(torrent)}/`)
  await page.locator('#status', { hasText: 'nothing selected' }).waitFor()
  assert.equal(await page.locator('#fault').isVisible(), false)
  torrent.select(0)
  torrent.addPeer(peers[0] ?? '')
  await page.locator('#fault', { hasText: hostile }).waitFor()
  assert.equal(await page.evaluate('fault.children.length'), 0)
  storage.writeFault = undefined
  await page.getByRole('button', { name: 'Resume', exact: true }).click()
  await page.locator('#fault').waitFor({ state: 'hidden' })
  await page.locator('#status', { hasText: 'seeding' }).waitFor()
  assertCalm()
})

test('all and none also select files that are not listed', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-many')
  const folder = path.join(partly.folder, 'many')
  mkdirSync(folder)
  for (let n = 0; n < 2100; n++) writeFileSync(path.join(folder, `${n}.txt`), String(n))
  const torrent = await partly.client().seed(folder)
  const { page, assertCalm } = await openPage(partly, `${await partly.listen(torrent)}/`)
  await page.locator('#more', { hasText: 'and 100 more' }).waitFor()
  const chosen = (): number => torrent.files.filter(({ selected }) => selected).length
  assert.equal(chosen(), 2100)
  await page.locator('#none').click()
  await until('nothing to be chosen', () => chosen() === 0)
  await page.locator('#all').click()
  await until('all to be chosen', () => chosen() === 2100)
  assertCalm()
})

test('the page can be used with keys alone', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-keys')
  const { torrent, client, origin } = await shown(partly)
  const { page, assertCalm } = await openPage(partly, `${origin}/${torrent.infoHash}/`)
  await holds(page, "document.querySelectorAll('#files li').length === 3")
  const focused = `(() => {
    const node = document.activeElement
    const { outlineStyle } = getComputedStyle(node)
    return [node.ariaLabel || node.textContent || node.id, outlineStyle !== 'none' || node.matches('video')]
  })()`
  const reached: string[] = []
  for (let turn = 0; turn < 60; turn++) {
    await page.keyboard.press('Tab')
    const [name, isSeen] = (await page.evaluate(focused)) as [string, boolean]
    if (await page.evaluate('document.activeElement === document.body')) break
    assert.ok(isSeen, `one cannot see that ${name} has the focus`)
    reached.push(name)
  }
  const wanted = [
    /^Magnet link/,
    /^Add$/,
    /^\.torrent…$/,
    /whole\.bin/,
    /^Pause$/,
    /^Playlist$/,
    /^Copy magnet link$/,
    /^Remove…$/,
    /^All$/,
    /^None$/,
    /^Download .*readme\.txt$/,
    /^Play .*onerror/,
    /^Save .*readme\.txt$/
  ]
  let from = 0
  for (const name of wanted.slice(0, 10)) {
    const at = reached.findIndex((text, n) => n >= from && name.test(text))
    assert.ok(at >= 0, `Tab does not reach ${name} in its turn: ${reached.join(' | ')}`)
    from = at
  }
  for (const name of wanted)
    assert.ok(
      reached.some((text) => name.test(text)),
      `Tab does not reach ${name}`
    )

  await page.locator('#pause').focus()
  await page.keyboard.press('Enter')
  await until('the torrent to pause', () => torrent.status === 'paused')
  await holds(page, "document.getElementById('pause').textContent === 'Resume'")
  await page.keyboard.press('Enter')
  await until('the torrent to go on', () => torrent.status === 'downloading')
  await page.locator('#remove').focus()
  await page.keyboard.press('Enter')
  await page.locator('#confirm').waitFor()
  await page.keyboard.press('Escape')
  await page.locator('#confirm').waitFor({ state: 'hidden' })
  assert.equal(await page.evaluate('document.activeElement.id'), 'remove')
  assert.equal(client.torrents.length, 2)
  const box = page.getByRole('checkbox', { name: /readme\.txt$/ })
  await box.focus()
  await page.keyboard.press('Space')
  await until('the file to be left out', () => torrent.files.some(({ selected }) => !selected))
  assertCalm()
})

test(
  'a read-only page carries its token everywhere, and offers no changes',
  needs(['chromium'], 60_000),
  async (t) => {
    const partly = new PartlyThere(t, 'browser-token')
    const file = path.join(partly.folder, 'data', 'song.wav')
    mkdirSync(path.dirname(file))
    writeFileSync(file, makeWav(60))
    const { torrent } = await partly.serve(file, [2 * mebibyte])
    const origin = await partly.listen(torrent, { token: 'a&b=c d', readOnly: true })
    const { page, assertCalm } = await openPage(partly, `${origin}/?token=${encodeURIComponent('a&b=c d')}`)
    await playAndSeek(page, /^Play .*song\.wav$/)
    for (const id of ['pause', 'remove', 'add']) {
      assert.equal(await page.locator(`#${id}`).isVisible(), false, `${id} is offered`)
    }
    assert.equal(await page.evaluate("document.querySelector('#files input').disabled"), true)
    const links = "[...document.querySelectorAll('#files a, #playlist')].map(({ href }) => href)"
    for (const link of (await page.evaluate(links)) as string[]) {
      const reply = await fetch(link, { method: 'HEAD' })
      assert.equal(reply.status, 200, link)
    }
    assertCalm()
  }
)

test('the page waits for a server that goes away, and continues', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-away')
  const file = path.join(partly.folder, 'data', 'film.bin')
  writeRandomFile(file, 4_000_000, 'film')
  const served = await partly.serve(file, [100_000])
  const { torrent } = served
  const first = await partly.server(torrent)
  const port = portOf(first)
  const { page } = await openPage(partly, `http://127.0.0.1:${port}/`)
  await page.locator('#speeds', { hasText: '/s' }).waitFor()
  await new Promise((resolve) => first.close(resolve))
  await page.locator('#speeds', { hasText: 'no connection' }).waitFor()
  hurry(served)
  await torrent.whenDone()
  await partly.server(torrent, {}, port)
  await page.locator('#status', { hasText: 'seeding' }).waitFor()
  await page.locator('#speeds', { hasText: '/s' }).waitFor()
})

test(
  'the page retries also after an answer that is no event stream',
  needs(['chromium'], 60_000),
  async (t) => {
    const partly = new PartlyThere(t, 'browser-refused')
    const client = partly.client()
    const first = await partly.server(client)
    const port = portOf(first)
    const { page } = await openPage(partly, `http://127.0.0.1:${port}/`)
    await new Promise((resolve) => first.close(resolve))
    const proxy = http.createServer((_, response) => response.writeHead(502).end())
    await once(proxy.listen(port, '127.0.0.1'), 'listening')
    await once(proxy, 'request')
    await page.locator('#speeds', { hasText: 'no connection' }).waitFor()
    proxy.closeAllConnections()
    await new Promise((resolve) => proxy.close(resolve))
    await partly.server(client, {}, port)
    await page.locator('#speeds', { hasText: '/s' }).waitFor()
  }
)

/** Returns a counter of the event streams that a server has open. */
function watchersOf(server: Server): () => number {
  let open = 0
  server.on('request', ({ url = '' }, response) => {
    if (!url.startsWith('/api/events')) return
    open++
    response.once('close', () => open--)
  })
  return () => open
}

test('a hidden page holds no connection', needs(['chromium'], 60_000), async (t) => {
  const partly = new PartlyThere(t, 'browser-hidden')
  const client = partly.client()
  const server = await partly.server(client)
  const watchers = watchersOf(server)
  const { page, assertCalm } = await openPage(partly, `http://127.0.0.1:${portOf(server)}/`)
  assert.equal(watchers(), 1)
  const turn = (hidden: boolean): Promise<unknown> =>
    page.evaluate(`(() => {
      Object.defineProperty(document, 'hidden', { value: ${hidden}, configurable: true })
      document.dispatchEvent(new Event('visibilitychange'))
    })()`)
  const glances = once(server, 'request')
  await turn(true)
  await until('the page to hang up', () => watchers() === 0)
  const [{ url }] = await glances
  assert.equal(url, '/api/torrents')
  await turn(false)
  await until('the page to come back', () => watchers() === 1)
  assertCalm()
})
