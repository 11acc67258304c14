import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import test from 'node:test'
import { Admission } from '../../lib/server/admission.ts'
import { Catalog } from '../../lib/server/catalog.ts'
import { EventStreams } from '../../lib/server/event-streams.ts'
import { serverLimits } from '../../lib/server/limits.ts'
import { until } from '../support/until.ts'
import { bytesOf, clientOf, connect, seed, serve } from './support.ts'

interface Event {
  readonly name: string
  readonly data: unknown
}

/** Returns the events that a page has received so far. */
function listen(socket: Socket): Event[] {
  const events: Event[] = []
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
    for (const [whole, name = '', json = ''] of text.matchAll(/event: (\w+)\ndata: (.*)\n\n/g)) {
      events.push({ name, data: JSON.parse(json) })
      text = text.slice(text.indexOf(whole) + whole.length)
    }
  })
  socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  return events
}

function names(data: unknown): string[] {
  assert.ok(Array.isArray(data))
  return data.map(({ name }) => String(name))
}

test('pages get all torrents at first and when some come or go, and else the changes', async (t) => {
  const { client, torrent } = await seed(t, { 'a.mp4': bytesOf(50_000) })
  const { port } = await serve(t, client, {}, { newsMs: 20 })
  const other = await seed(t, { 'b.mp4': bytesOf(50_000) })
  const first = listen(await connect(t, port))
  await until('three events of the first page', () => first.length, { is: (value) => value > 2 })
  assert.deepEqual(
    first.slice(0, 2).map(({ name }) => name),
    ['torrents', 'changed']
  )
  assert.deepEqual(names(first[0]?.data), ['set'])
  const second = listen(await connect(t, port))
  await until('two events of the second page', () => second.length, { is: (value) => value > 1 })
  assert.equal(second[0]?.name, 'torrents', 'a page that comes later knows nothing yet')

  torrent.pause()
  const heard = (events: readonly Event[]): boolean =>
    events.some(({ name, data }) => name === 'changed' && JSON.stringify(data).includes('"status":"paused"'))
  await until('both pages to hear of the pause', () => heard(first) && heard(second))
  const { length } = first
  await until('three further events', () => first.length, { is: (value) => value > length + 2 })
  assert.deepEqual(first.at(-1), { name: 'changed', data: [] })

  await client.add(other.torrent.torrentFile ?? '', { paused: true })
  const lists = (events: readonly Event[]): Event[] => events.filter(({ name }) => name === 'torrents')
  await until(
    'both pages to hear of the new torrent',
    () => lists(first).length > 1 && lists(second).length > 1
  )
  assert.equal(names(lists(first)[1]?.data).length, 2)
  await client.remove(torrent)
  await until('the first page to hear of the removal', () => lists(first).length, {
    is: (value) => value > 2
  })
  assert.equal(names(lists(first)[2]?.data).length, 1)
})

/** A page that opens a stream; `written` are its events. */
class Page extends EventEmitter {
  readonly written: string[] = []
  destroyed = false
  writeHead(): void {}
  setTimeout(): void {}
  write(text: string | Buffer): boolean {
    this.written.push(String(text))
    return true
  }
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

test('a page that leaves before its first news ends no news of others', async (t) => {
  const admission = new Admission({ ...serverLimits, newsMs: 1 })
  const streams = new EventStreams(new Catalog(clientOf(t)), admission)
  const request = { method: 'GET', socket: { remoteAddress: '127.0.0.1' } } as IncomingMessage
  const [leaving, staying] = [new Page(), new Page()]
  const open = [leaving, staying].map((page) =>
    streams.open(request, page as unknown as ServerResponse, undefined)
  )
  leaving.destroy()
  await open[0]
  await until('news of the page that stays', () => staying.written.length, { is: (value) => value > 5 })
  staying.destroy()
  await open[1]
  streams.close()
})

test('a page that reads nothing for long is closed, others continue', async (t) => {
  const client = clientOf(t)
  const magnet = (n: number): string =>
    `magnet:?xt=urn:btih:${n.toString(16).padStart(40, '0')}&dn=${'x'.repeat(200)}`
  // A list of 100 KB, so that the connection's buffer is soon full.
  for (let n = 0; n < 250; n++) client.add(magnet(n), { paused: true }).catch(() => {})
  await until('all torrents to be added', () => client.torrents.length, { is: 250 })
  const { port, server } = await serve(t, client, {}, { newsMs: 2, stalledMs: 300 })
  const accepted: Socket[] = []
  server.on('connection', (socket) => accepted.push(socket))
  const silent = await connect(t, port)
  silent.pause()
  silent.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the first connection', () => accepted.length, { is: 1 })
  const reading = listen(await connect(t, port))
  // Each change of the list sends all of it again.
  let n = 250
  const timer = setInterval(() => client.add(magnet(n++), { paused: true }).catch(() => {}), 2)
  await until('the first connection to be closed', () => accepted[0]?.destroyed, { is: true })
  clearInterval(timer)
  const { length } = reading
  await until('one further event', () => reading.length, { is: (value) => value > length })
  assert.equal(accepted[1]?.destroyed, false)
})

test('events are not queued for a page that does not read', async (t) => {
  const client = clientOf(t)
  const magnet = (n: number): string =>
    `magnet:?xt=urn:btih:${n.toString(16).padStart(40, '0')}&dn=${'x'.repeat(200)}`
  for (let n = 0; n < 250; n++) client.add(magnet(n), { paused: true }).catch(() => {})
  await until('all torrents to be added', () => client.torrents.length, { is: 250 })
  const { port, server } = await serve(t, client, {}, { newsMs: 2 })
  const accepted: Socket[] = []
  server.on('connection', (socket) => accepted.push(socket))
  const silent = await connect(t, port)
  silent.pause()
  silent.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until('the first connection', () => accepted.length, { is: 1 })
  const reading = listen(await connect(t, port))
  const lists = (): number => reading.filter(({ name }) => name === 'torrents').length
  // Each change of the list sends all of it again, 100 KB at a time.
  for (let n = 250; (accepted[0]?.writableLength ?? 0) === 0 || lists() < 60; n++) {
    const count = lists()
    client.add(magnet(n), { paused: true }).catch(() => {})
    await until('the list', lists, { is: (value) => value > count })
  }
  assert.ok((accepted[0]?.writableLength ?? 0) < 1_000_000, `${accepted[0]?.writableLength} bytes`)
})
