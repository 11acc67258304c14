import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { MemoryStorage } from '../../lib/storage/memory-storage.ts'
import { treeOf } from '../support/file-tree.ts'
import {
  assertUnharmed,
  assertUnread,
  freedomIn,
  furnish,
  opensOf,
  ownFiles,
  type Place,
  type Scene,
  secrets
} from '../support/hostile-scene.ts'
import { hostileTorrents } from '../support/hostile-torrents.ts'
import type { VictimNote, VictimTask } from '../support/hostile-victim.ts'
import { addressOf, Bench, type Sample } from '../torrent/bench.ts'

const support = path.join(path.dirname(fileURLToPath(import.meta.url)), '../support')

const places: Readonly<Record<string, Place>> = {
  'records beside the data': {
    options: (path) => ({ path }),
    userState: 'elsewhere',
    own: ['data/.piecewise', 'elsewhere/piecewise'],
    shortcut: '.piecewise'
  },
  'the state folder inside the data': {
    options: (folder) => ({ path: folder, state: path.join(folder, 'state') }),
    userState: 'elsewhere',
    own: ['data/state', 'elsewhere/piecewise'],
    shortcut: 'state'
  },
  'a home folder as folder of the data': {
    options: (path) => ({ path }),
    userState: 'data/state',
    own: ['data/.piecewise', 'data/state/piecewise'],
    shortcut: 'state/piecewise'
  }
}

/** Returns a generator of reproducible numbers from 0 to 1. */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state / 2 ** 32
  }
}

/** Runs the program until it ends, or kills it at its note number `killAt`. */
async function play(base: string, place: Place, task: VictimTask, killAt?: number): Promise<VictimNote[]> {
  const victim = fork(path.join(support, 'hostile-victim.js'), {
    execArgv: ['--import', pathToFileURL(path.join(support, 'trace-opens.js')).href],
    env: {
      ...process.env,
      HOME: path.join(base, 'data'),
      XDG_STATE_HOME: path.join(base, place.userState),
      TRACE_OPENS: opensOf(base)
    }
  })
  const notes: VictimNote[] = []
  victim.on('message', (note: VictimNote) => {
    if (notes.push(note) === killAt) victim.kill('SIGKILL')
  })
  victim.send(task)
  const [code, signal] = await once(victim, 'exit')
  if (killAt === undefined) assert.equal(code, 0, `ended with ${code ?? signal}`)
  return notes
}

/** Makes the torrents that the client has before the first hostile one. */
async function honestSamples(bench: Bench): Promise<Sample[]> {
  return [
    await bench.sample({ 'honest.bin': 50_000 }, { private: true }),
    await bench.sample({ 'honest/a.bin': 50_000, 'honest/b.bin': 10 }),
    await bench.sample({ 'swap/a.bin': 50_000 })
  ]
}

/**
 * Asserts that each torrent ended well or with a clear error, got no user data, and that its files exist or
 * not, as expected.
 */
function assertOutcome(scene: Scene, notes: readonly VictimNote[]): void {
  const last = new Map<number, VictimNote>()
  for (const note of notes) last.set(note.index, { ...last.get(note.index), ...note })
  const own = ownFiles(scene)
  const isFree = freedomIn(scene, own)
  assert.ok(scene.torrents.filter((_, index) => isFree(index)).length >= 100)
  for (const [index, torrent] of scene.torrents.entries()) {
    const { title, layout, metainfo, data: content } = torrent
    const note = last.get(index)
    assert.ok(note !== undefined, title)
    assert.match(note.code ?? 'ERR_STORAGE_', /^ERR_STORAGE_/, `${title}: ${note.message}`)
    const padding = metainfo.files.reduce((sum, { pad, length }) => sum + (pad ? length : 0), 0)
    if (layout.secret === undefined && isFree(index))
      assert.equal(note.verified, content.length - padding, `${title}: ${note.code}`)
    if (layout.secret !== undefined) assert.equal(note.verified ?? 0, 0, `${title} has the user's bytes`)
    for (const { path: name, pad, offset, length } of metainfo.files) {
      const file = path.join(scene.data, name)
      const at = path.relative(scene.base, file)
      if (pad || (own.get(at) ?? [index]).length > 1 || scene.before.has(at)) continue
      // A killed run may leave files that its record does not name yet. A name that another torrent wants as
      // a folder may exist again, as that torrent's folder.
      const isRemoved = note.removed === true && note.received === content.length
      if (isRemoved && isFree(index)) assert.ok(!existsSync(file), `${title}: ${name} is removed`)
      else if (note.removed !== true && note.verified === content.length && layout.secret === undefined) {
        const expected = content.subarray(offset, offset + length)
        assert.ok(readFileSync(file).equals(expected), `${title}: ${name} is whole`)
      }
    }
  }
}

describe('torrents with hostile names touch nothing but their own files', { concurrency: 3 }, () => {
  for (const [where, place] of Object.entries(places)) {
    test(where, {
      timeout: 100_000
    }, async (t: TestContext) => {
      const bench = new Bench(t)
      const base = path.join(bench.folder(), 'all')
      const data = path.join(base, 'data')
      mkdirSync(data, { recursive: true })
      furnish(base, place)
      writeFileSync(opensOf(base), '')
      const honest = await honestSamples(bench)
      const seeder = bench.client({ maxConnections: 2000 })
      const seed = async (bytes: Uint8Array, content: Uint8Array): Promise<void> => {
        const storage = new MemoryStorage()
        const torrent = await seeder.add(bytes, { storage, paused: true })
        await storage.write(0, [content])
        await torrent.recheck()
        torrent.resume()
      }
      for (const sample of honest) await seed(sample.bytes, sample.data)
      const options = {
        host: '127.0.0.1',
        dht: false,
        lsd: false,
        pex: false,
        maxConnections: 2000,
        ...place.options(data)
      }
      const taskOf = (torrents: readonly Uint8Array[], rest: Partial<VictimTask> = {}): VictimTask => ({
        options,
        torrents: torrents.map((bytes) => Buffer.from(bytes).toString('base64')),
        unseeded: [],
        removed: [],
        peer: addressOf(seeder),
        ends: true,
        ...rest
      })
      const honestTask = taskOf(honest.map(({ bytes }) => bytes))
      for (const { code, message } of await play(base, place, honestTask))
        assert.equal(code, undefined, message)
      // A link that appears after a torrent was added leads nowhere.
      renameSync(path.join(data, 'swap'), path.join(base, 'swapped'))
      symlinkSync('../outside', path.join(data, 'swap'))
      const infoHash = Buffer.from(honest[0]?.metainfo.infoHashes.v1 ?? []).toString('hex')
      const torrents = hostileTorrents({ outside: path.join(base, 'outside'), infoHash }, secrets)
      assert.ok(torrents.length >= 200)
      const unseeded = torrents.flatMap(({ layout }, index) => (layout.secret === undefined ? [] : [index]))
      for (const { bytes, data: content, layout } of torrents)
        if (layout.secret === undefined) await seed(bytes, content)
      const scene: Scene = { base, data, place, torrents, before: treeOf(base) }
      const random = randomOf(torrents.length + where.length)
      const removed = torrents.flatMap((_, index) => (random() < 0.5 ? [index] : []))
      const task = taskOf(
        torrents.map(({ bytes }) => bytes),
        { unseeded, removed }
      )
      for (let round = 0; round < 3; round++) {
        await play(base, place, { ...task, ends: false }, 1 + Math.floor(random() * torrents.length * 0.9))
        assertUnharmed(scene)
      }
      const notes = await play(base, place, task)
      assertUnharmed(scene)
      assertOutcome(scene, notes)
      const again = await play(base, place, honestTask)
      const [first, second, swapped] = honest.map((_, at) => again.find(({ index }) => index === at))
      for (const note of [first, second]) {
        assert.equal(note?.status, 'seeding', note?.message)
        assert.equal(note?.received, 0, 'nothing is fetched again')
      }
      assert.equal(swapped?.code, 'ERR_STORAGE_PATH')
      assertUnharmed(scene)
      assertUnread(scene)
    })
  }
})
