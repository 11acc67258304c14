import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Client } from '../../lib/client/client.ts'
import { keyFileName } from '../../lib/storage/record-key.ts'
import type { Torrent } from '../../lib/torrent/torrent.ts'
import { Bench, type Sample } from '../torrent/bench.ts'

/** Returns a line of a list of torrents as 0.1.0 wrote it, unsigned. */
function lineOf(saved: Record<string, unknown>): string {
  const body = JSON.stringify(saved)
  return `${createHash('sha256').update(body).digest('hex').slice(0, 16)} ${body}\n`
}

/** Returns the fields of the only line of the list in a state folder, without its signature. */
function savedIn(state: string): Record<string, unknown> {
  const [, line = ''] = readFileSync(path.join(state, 'client.session'), 'utf8').split('\n')
  const { mac, ...saved } = JSON.parse(line.slice(line.indexOf(' ') + 1)) as Record<string, unknown>
  return saved
}

function write(state: string, ...savedTorrents: Record<string, unknown>[]): void {
  writeFileSync(
    path.join(state, 'client.session'),
    `piecewise session 1\n${savedTorrents.map(lineOf).join('')}`
  )
}

interface Left {
  readonly bench: Bench
  readonly sample: Sample
  /** The data folder. */
  readonly data: string
  readonly state: string
  client(): { client: Client; warnings: string[] }
}

/** Makes a state folder inside the data, with one torrent that has a tracker. */
async function left(t: TestContext, isPrivate: boolean): Promise<Left> {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 }, { private: isPrivate })
  const data = bench.folder()
  const state = path.join(data, 'state')
  const open = (): { client: Client; warnings: string[] } => {
    const client = bench.client({ path: data, state })
    const warnings: string[] = []
    client.on('warning', ({ message }) => warnings.push(message))
    return { client, warnings }
  }
  const { client } = open()
  await client.add(sample.bytes, { paused: true, trackers: ['http://127.0.0.1:9/announce'] })
  await client.close()
  return { bench, sample, data, state, client: open }
}

async function restored(client: Client): Promise<Torrent | undefined> {
  const [torrent] = await client.restored()
  return torrent
}

test('a list inside the data that this version wrote is restored unchanged', async (t) => {
  const { client: open, data } = await left(t, true)
  const { client, warnings } = open()
  const torrent = await restored(client)
  assert.equal(torrent?.path, data)
  assert.equal(torrent.trackers.length, 1)
  assert.deepEqual(warnings, [])
})

test('an unsigned line restores no torrent whose data is elsewhere', async (t) => {
  for (const [what, change] of [
    ['another folder', (outside: string) => ({ path: outside })],
    [
      'a folder that a link leads to',
      (outside: string, data: string) => {
        symlinkSync(outside, path.join(data, 'way-out'))
        return { path: path.join(data, 'way-out') }
      }
    ],
    ['files named one by one', (outside: string) => ({ filePaths: [path.join(outside, 'authorized_keys')] })]
  ] as const) {
    const { bench, sample, data, state, client: open } = await left(t, false)
    const outside = bench.folder()
    const saved = { ...savedIn(state), ...change(outside, data) }
    write(state, saved)
    const { client, warnings } = open()
    assert.equal(await restored(client), undefined, what)
    assert.equal(
      warnings.filter((text) => text.includes('outside of the data folder: 1.')).length,
      1,
      warnings.join()
    )
    await client.close()
    assert.deepEqual(savedIn(state), saved, 'the line stays, unsigned')
    const again = open()
    assert.equal(await restored(again.client), undefined, 'nor later')
    const added = await again.client.add(sample.bytes, { paused: true })
    assert.equal(added.path, data, 'and it does not say where data goes')
    assert.deepEqual(readdirSync(outside), [])
    await again.client.close()
    const last = open()
    assert.equal((await restored(last.client))?.path, data)
    assert.deepEqual(last.warnings, [])
  }
})

test('an unsigned line adds no trackers to a private torrent', async (t) => {
  for (const isPrivate of [true, false]) {
    const { state, client: open } = await left(t, isPrivate)
    write(state, savedIn(state))
    // The record is signed, and covers the added tracker.
    for (const name of readdirSync(state)) if (name.endsWith('.resume')) rmSync(path.join(state, name))
    const { client, warnings } = open()
    const torrent = await restored(client)
    assert.equal(torrent?.trackers.length, isPrivate ? 0 : 1)
    assert.equal(
      warnings.some((text) => text.includes('without trackers: 1.')),
      isPrivate
    )
    await client.close()
    const again = open()
    assert.equal((await restored(again.client))?.status, 'paused')
    assert.deepEqual(again.warnings, [])
  }
})

test('the list in a state folder outside the data is trusted, signed or not', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 }, { private: true })
  const [state, outside] = [bench.folder(), bench.folder()]
  const first = bench.client({ state })
  await first.add(sample.bytes, { path: outside, paused: true, trackers: ['http://127.0.0.1:9/announce'] })
  await first.close()
  assert.doesNotMatch(readFileSync(path.join(state, 'client.session'), 'utf8'), /"mac"/)
  const torrent = await restored(bench.client({ state }))
  assert.equal(torrent?.path, outside)
  assert.equal(torrent.trackers.length, 1)
})

test('a state folder inside the folder of one of its torrents counts as inside the data', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 100_000 }, { private: true })
  const data = bench.folder()
  const state = path.join(data, 'state')
  const first = bench.client({ state, path: undefined })
  await first.add(sample.bytes, { path: data, paused: true, trackers: ['http://127.0.0.1:9/announce'] })
  await first.close()
  assert.match(readFileSync(path.join(state, 'client.session'), 'utf8'), /"mac"/)
  assert.equal((await restored(bench.client({ state, path: undefined })))?.trackers.length, 1)
})

test('neither a state folder nor the key is seeded along with the folder around it', async (t) => {
  const bench = new Bench(t)
  const folder = bench.folder()
  mkdirSync(path.join(folder, 'home', 'state'), { recursive: true })
  writeFileSync(path.join(folder, 'film.mkv'), new Uint8Array(50_000).fill(1))
  writeFileSync(path.join(folder, 'home', 'mine'), 'x')
  writeFileSync(path.join(folder, 'home', 'state', 'some.resume'), 'passkeys')
  const before = process.env['XDG_STATE_HOME']
  process.env['XDG_STATE_HOME'] = path.join(folder, 'xdg')
  t.after(() => {
    process.env['XDG_STATE_HOME'] = before
  })
  mkdirSync(path.join(folder, 'xdg', 'piecewise'), { recursive: true })
  writeFileSync(path.join(folder, 'xdg', 'piecewise', keyFileName), new Uint8Array(32), { mode: 0o600 })
  const client = bench.client({ state: path.join(folder, 'home', 'state') })
  const torrent = await client.seed(folder)
  const name = path.basename(folder)
  assert.deepEqual(torrent.files.map((file) => file.path).sort(), [`${name}/film.mkv`, `${name}/home/mine`])
})
