// Imported before all of lib/.
import '../support/crash-disk.ts'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { writeTorrent } from '../../lib/cli/write-torrent.ts'
import { loadDhtState, saveDhtState } from '../../lib/client/dht-state.ts'
import { FolderLock } from '../../lib/client/folder-lock.ts'
import { SeedCache } from '../../lib/client/make-torrent.ts'
import { SavedList } from '../../lib/client/saved-list.ts'
import { SavedTorrentsTrust } from '../../lib/client/saved-torrents-trust.ts'
import { FileStorage } from '../../lib/storage/file-storage.ts'
import { foreignFiles } from '../../lib/storage/foreign-files.ts'
import { PartsFile } from '../../lib/storage/parts-file.ts'
import { RealFolders } from '../../lib/storage/real-folders.ts'
import { RecordKey } from '../../lib/storage/record-key.ts'
import type { ResumeRecord } from '../../lib/storage/resume-record.ts'
import { ResumeStore } from '../../lib/storage/resume-store.ts'
import { nodeFs, syncFolder } from '../../lib/storage/storage-fs.ts'
import type { SavedTorrent } from '../../lib/torrent/saved-torrent.ts'
import type { TorrentSession } from '../../lib/torrent/torrent-session.ts'
import { layoutOf, pattern, readBytes } from '../storage/contract.ts'
import { type Progress, stopEverywhere, testWriter, type Writer } from '../support/crash-harness.ts'

/**
 * Returns the last reported fact and the facts begun after it: the possible contents of an atomically written
 * file.
 */
function possible({ done, begun }: Progress, before: string): string[] {
  const last = done.at(-1)
  return [last ?? before, ...begun.slice(last === undefined ? 0 : begun.lastIndexOf(last) + 1)]
}

const hash = 'aa'.repeat(20)

// ---- resume record and .torrent ----

function recordOf(uploaded: number): ResumeRecord {
  return {
    infoHash: hash,
    clean: true,
    files: [{ size: uploaded, mtimeNs: 5n }],
    verified: new Uint8Array(2000),
    partial: new Map(),
    uploaded,
    downloaded: 0,
    secondsActive: 0,
    created: [],
    peers: [],
    trackers: [],
    addedMs: 1
  }
}

function storeIn(folder: string, name = 'state'): ResumeStore {
  return new ResumeStore({ folder: join(folder, name), onWarning: (warning) => assert.fail(warning) })
}

const records = ['state', 'data/.piecewise'].map(
  (name): Writer => ({
    name: `resume record in ${name}`,
    async run(folder, step) {
      const store = storeIn(folder, name)
      for (const uploaded of [1, 2, 3]) await step(String(uploaded), () => store.save(recordOf(uploaded)))
      await store.close()
    },
    async after(folder, progress) {
      const { record } = (await storeIn(folder, name).load(hash)) ?? {}
      const found = String(record?.uploaded ?? 0)
      assert.ok(possible(progress, '0').includes(found), `record ${found}`)
      assert.equal(record?.verified.length ?? 2000, 2000)
    }
  })
)

const torrents: Writer = {
  name: 'metadata beside the record, removed at last',
  // A restored record belongs to a torrent that is not listed.
  forgettable: ['0'],
  async before(folder) {
    await storeIn(folder).save(recordOf(1))
    await storeIn(folder).saveTorrent(hash, pattern(0, 3000))
  },
  async run(folder, step) {
    const store = storeIn(folder)
    await step('3000', () => store.saveTorrent(hash, pattern(0, 3000)))
    await step('5000', () => store.saveTorrent(hash, pattern(0, 5000)))
    await step('0', () => store.remove(hash))
  },
  async after(folder, progress) {
    const bytes = (await storeIn(folder).loadTorrent(hash)) ?? new Uint8Array()
    assert.ok(possible(progress, '3000').includes(String(bytes.length)), `${bytes.length} bytes`)
    assert.deepEqual(Buffer.from(bytes), Buffer.from(pattern(0, bytes.length)))
  }
}

// ---- session file ----

function savedOf(name: string): SavedTorrent {
  return {
    infoHash: Buffer.from(name.padEnd(20)).toString('hex'),
    path: '/nowhere',
    trackers: [],
    peers: [],
    paused: false,
    finished: false,
    goalWaived: false,
    superSeeding: false,
    private: false,
    uploaded: 0,
    downloaded: 0,
    secondsActive: 0,
    secondsSeeding: 0,
    addedMs: 1
  }
}

/** The part of a torrent that a session uses. */
function torrentOf(saved: SavedTorrent): TorrentSession {
  const { infoHash } = saved
  return {
    infoHash,
    torrentFile: Buffer.from(infoHash.repeat(100)),
    transfer: { moved: 0 },
    save: () => saved
  } as unknown as TorrentSession
}

/** Parses a list of torrents from a fact such as `a b`. */
function listed(fact: string): TorrentSession[] {
  return fact
    .split(' ')
    .filter((name) => name !== '')
    .map((name) => torrentOf(savedOf(name)))
}

function sessionIn(
  folder: string,
  torrents: () => TorrentSession[],
  warning: (error: Error) => void
): SavedList {
  const state = join(folder, 'state')
  const trust = new SavedTorrentsTrust({ folder: state, data: undefined, key: new RecordKey(undefined) })
  return new SavedList(state, trust, { torrents, warning })
}

const session: Writer = {
  name: 'session file',
  async before(folder) {
    const one = sessionIn(folder, () => [], assert.fail)
    await one.open()
    await one.close(listed('a'))
  },
  async run(folder, step) {
    let torrents = listed('a')
    const warnings: Error[] = []
    const one = sessionIn(
      folder,
      () => torrents,
      (warning) => warnings.push(warning)
    )
    const orWarning = async (task: Promise<unknown>): Promise<void> => {
      await task
      const warning = warnings.pop()
      if (warning !== undefined) throw warning
    }
    if (!(await step('a', () => orWarning(one.open())))) return
    for (const list of ['a b', '']) {
      await step(list, () => {
        torrents = listed(list)
        return orWarning(one.flush())
      })
    }
    await step('b c', () => orWarning(one.close(listed('b c'))))
  },
  async after(folder, progress) {
    const one = sessionIn(folder, () => [], assert.fail)
    const savedTorrents = await one.open()
    const names = savedTorrents
      .map(({ infoHash }) => Buffer.from(infoHash, 'hex').toString().trim())
      .join(' ')
    // The metadata that it needs exists.
    for (const { infoHash } of savedTorrents) {
      const bytes = readFileSync(join(folder, 'state', `${infoHash}.torrent`))
      assert.equal(bytes.toString(), infoHash.repeat(100))
    }
    await one.close(savedTorrents.map(torrentOf))
    assert.ok(possible(progress, 'a').includes(names), `'${names}' after ${JSON.stringify(progress)}`)
  }
}

// ---- lock ----

const lock: Writer = {
  name: 'lock of a folder',
  rawErrors: true,
  forgettable: 'all',
  async run(folder, step) {
    let held: FolderLock | undefined
    for (const fact of ['taken', 'taken again']) {
      await step(fact, async () => {
        held = await FolderLock.take(folder, 'client.lock')
        assert.ok(held !== undefined, 'the lock is free')
      })
      await held?.release()
    }
  },
  async after(folder) {
    // Its owner is dead.
    const held = await FolderLock.take(folder, 'client.lock')
    assert.ok(held !== undefined)
    assert.ok(JSON.parse(readFileSync(join(folder, 'client.lock'), 'utf8')).pid === process.pid)
    await held.release()
  }
}

// ---- key ----

/** The last reported key; each run makes its own. */
let reported = ''

const key: Writer = {
  name: 'key of records',
  rawErrors: true,
  leaves: /record\.key\..*\.tmp$/,
  async run(folder, step) {
    const made = await new RecordKey(join(folder, 'user')).find()
    if (made !== undefined) reported = Buffer.from(made).toString('hex')
    await step('made', async () => {
      const bytes = await new RecordKey(join(folder, 'user')).findOrMake()
      if (bytes === undefined) throw new Error('there is no key')
      reported = Buffer.from(bytes).toString('hex')
    })
  },
  async after(folder, { done }) {
    const found = await new RecordKey(join(folder, 'user')).find()
    if (done.includes('made')) assert.equal(Buffer.from(found ?? []).toString('hex'), reported)
    assert.equal(found?.length ?? 32, 32)
  }
}

// ---- parts file ----

const partsLength = 10_000

function partsIn(folder: string): PartsFile {
  const folders = new RealFolders({ fs: nodeFs, root: join(folder, 'state') })
  const path = join(folder, 'state/x.parts')
  return new PartsFile({ fs: nodeFs, folders, path, layoutLength: partsLength, readOnly: false })
}

/** The fields of a record header, which a hostile peer can forge. */
function forgedHeader(start: number, length: number): Buffer {
  const magic = 0x50617274
  const bytes = Buffer.alloc(24)
  bytes.writeUInt32BE(magic, 0)
  bytes.writeUInt32BE(1, 4)
  bytes.writeUIntBE(start, 10, 6)
  bytes.writeUInt32BE(length, 16)
  bytes.writeUInt32BE((Math.imul((start % 0x100000000) ^ length, 0x9e3779b1) ^ magic) >>> 0, 20)
  return bytes
}

/**
 * Ranges of the parts file by fact. The bytes of `big` look like a record followed by as many bytes as `last`
 * has.
 */
const kept: Record<string, { start: number; bytes: Uint8Array }> = {
  first: { start: 0, bytes: pattern(0, 100) },
  small: { start: 1000, bytes: pattern(1000, 40) },
  over: { start: 990, bytes: pattern(990, 100) },
  big: { start: 2000, bytes: Buffer.concat([pattern(2000, 40), forgedHeader(7000, 16), pattern(2064, 400)]) },
  last: { start: 3000, bytes: pattern(3000, 40) }
}

async function keep(parts: PartsFile, fact: string): Promise<void> {
  const { start, bytes } = kept[fact] ?? { start: 0, bytes: new Uint8Array() }
  await parts.write(start, bytes)
  await parts.sync()
}

const partsFile: Writer = {
  name: 'parts file',
  async before(folder) {
    const parts = partsIn(folder)
    await keep(parts, 'first')
    await parts.close()
  },
  async run(folder, step) {
    const parts = partsIn(folder)
    await parts.open()
    for (const fact of ['small', 'over']) await step(fact, () => keep(parts, fact))
    await step('without first', () => parts.remove({ start: 0, end: 100 }))
    for (const fact of ['big', 'last']) await step(fact, () => keep(parts, fact))
    await parts.close()
  },
  async after(folder, { done, begun }) {
    const parts = partsIn(folder)
    await parts.open()
    const written = begun.filter((fact) => fact in kept)
    for (const fact of begun.includes('without first') ? written : ['first', ...written]) {
      if (fact !== 'first' && !done.includes(fact)) continue
      const { start, bytes } = kept[fact] ?? { start: 0, bytes: [] }
      const found: number[] = []
      for (let at = start; at < start + bytes.length; at++) {
        const byte = new Uint8Array(1)
        const place = parts.find(at)
        if (place !== undefined && (await parts.read(place.position, byte)) === 1) found.push(byte[0] ?? 0)
      }
      assert.deepEqual(found, [...bytes], fact)
    }
    if (done.includes('without first')) assert.equal(parts.find(0), undefined)
    // The file holds nothing else.
    const mine = ['first', ...written].map((fact) => kept[fact] ?? { start: 0, bytes: [] })
    for (const { start, end } of parts.ranges) {
      for (let at = start; at < end; at++) {
        assert.ok(
          mine.some(({ start, bytes }) => at >= start && at < start + bytes.length),
          `byte ${at} was never kept`
        )
      }
    }
    await parts.close()
  }
}

const newPartsFile: Writer = {
  name: 'new parts file',
  async run(folder, step) {
    const parts = partsIn(folder)
    await parts.open()
    await step('without first', () => parts.remove({ start: 0, end: 100 }))
    for (const fact of ['small', 'last']) await step(fact, () => keep(parts, fact))
    await parts.close()
  },
  after: partsFile.after
}

// ---- files ----

const layout = layoutOf(1000, [
  ['t/a', 1500],
  ['t/sub/b', 1500],
  ['t/c', 500]
])

function storageIn(folder: string): FileStorage {
  return new FileStorage({ path: join(folder, 'data'), partsPath: join(folder, 'state/x.parts') })
}

async function store(storage: FileStorage, start: number, end: number): Promise<void> {
  await storage.write(start, [pattern(start, end - start)])
  await storage.sync()
}

/** Replaces the bytes from 1600 on. */
const changed = new Uint8Array(100).fill(7)

const files: Writer = {
  name: 'files, one of which leaves the parts file',
  async before(folder) {
    const storage = storageIn(folder)
    await storage.open(layout, [true, false, true])
    await store(storage, 1000, 2000)
    await storage.close()
  },
  async run(folder, step) {
    const storage = storageIn(folder)
    await storage.open(layout, [true, false, true])
    await step('0-1000', () => store(storage, 0, 1000))
    await step('selected', () => storage.select([true, true, true]))
    await step('2000-3500', () => store(storage, 2000, 3500))
    await step('changed', async () => {
      await storage.write(1600, [changed])
      await storage.sync()
    })
    await storage.close()
  },
  async after(folder, { done, begun }) {
    for (const wanted of [
      [true, false, true],
      [true, true, true]
    ]) {
      const storage = storageIn(folder)
      await storage.open(layout, wanted)
      for (const fact of ['1000-2000', ...done]) {
        const [start = 0, end = 0] = fact.includes('-') ? fact.split('-').map(Number) : [1000, 2000]
        const bytes = await readBytes(storage, start, end - start)
        const expected = pattern(start, end - start)
        if (start === 1000 && begun.includes('changed')) {
          const found = done.includes('changed') ? changed : bytes.subarray(600, 700)
          expected.set(found, 600)
        }
        assert.deepEqual(Buffer.from(bytes), Buffer.from(expected), fact)
      }
      await storage.close()
    }
  }
}

// ---- own files told from the user's ----

const users = new Uint8Array(500).fill(9)

/**
 * Opens the storage of a run: it keeps files that no record names, and has a record name its own files before
 * it writes to them.
 */
async function ownedIn(
  folder: string
): Promise<{ storage: FileStorage; foreign: number[]; save(): Promise<void> }> {
  const records = storeIn(folder)
  const save = async (): Promise<void> => {
    await storage.sync()
    const { files } = await storage.stats()
    const owned = storage.ownership?.bits(true) ?? new Uint8Array(1)
    const { created } = storage
    await records.save({ ...recordOf(0), clean: false, files, owned, created, path: '/data' })
  }
  const storage = new FileStorage({
    path: join(folder, 'data'),
    partsPath: join(folder, 'state/x.parts'),
    onOwning: save
  })
  await storage.open(layout, [true, true, true])
  const foreign = foreignFiles(layout, await records.load(hash), await storage.stats(), '/data')
  storage.ownership?.protect(foreign)
  return { storage, foreign, save }
}

const young: Writer = {
  name: 'young download beside a file of the user',
  async before(folder) {
    await mkdir(join(folder, 'data/t'), { recursive: true })
    await writeFile(join(folder, 'data/t/c'), users)
    await syncFolder(nodeFs, join(folder, 'data/t'))
    const handle = await open(join(folder, 'data/t/c'), 'r+')
    await handle.sync()
    await handle.close()
  },
  async run(folder, step) {
    const { storage, save } = await ownedIn(folder)
    for (const [start, end] of [
      [0, 200],
      [200, 1700],
      [1700, 3000]
    ] as const) {
      await step(`${start}-${end}`, () => store(storage, start, end))
    }
    await step('kept', () =>
      assert.rejects(storage.write(3000, [pattern(3000, 500)]), { code: 'ERR_STORAGE_EXISTS' })
    )
    await step('saved', save)
    await storage.close()
  },
  async after(folder, { done }) {
    const { storage, foreign } = await ownedIn(folder)
    assert.deepEqual(Buffer.from(readFileSync(join(folder, 'data/t/c'))), Buffer.from(users))
    assert.deepEqual(foreign, [2])
    for (const fact of done.filter((one) => one.includes('-'))) {
      const [start = 0, end = 0] = fact.split('-').map(Number)
      assert.deepEqual(await readBytes(storage, start, end - start), pattern(start, end - start), fact)
    }
    await storage.close()
  }
}

// ---- caches ----

const dht: Writer = {
  name: 'state of the DHT',
  rawErrors: true,
  // Ids and nodes can be found again.
  forgettable: 'all',
  async run(folder, step) {
    for (const fact of ['1', '2']) {
      const nodes = pattern(0, 26 * 100 * Number(fact))
      await step(fact, () => saveDhtState(join(folder, 'state'), { id: pattern(0, 20), nodes }))
    }
  },
  async after(folder, progress) {
    const state = await loadDhtState(join(folder, 'state'), (warning) => assert.fail(warning))
    const found = String((state?.nodes?.length ?? 0) / 2600)
    assert.ok(possible(progress, '0').includes(found), found)
  }
}

const sighting = { key: 'ab'.repeat(32), print: 'cd'.repeat(32) }

const seeds: Writer = {
  name: 'cache of seeded torrents',
  rawErrors: true,
  async run(folder, step) {
    const cache = new SeedCache(join(folder, 'state'))
    for (const fact of ['1', '2'])
      await step(fact, () => cache.save(sighting, pattern(0, 1000 * Number(fact))))
  },
  async after(folder, progress) {
    const bytes = await new SeedCache(join(folder, 'state')).find(sighting)
    const found = String((bytes?.length ?? 0) / 1000)
    assert.ok(possible(progress, '0').includes(found), found)
    assert.deepEqual(Buffer.from(bytes ?? []), Buffer.from(pattern(0, 1000 * Number(found))))
  }
}

// ---- the command ----

const ofCommand: Writer = {
  name: '.torrent of the command',
  async before(folder) {
    await writeFile(join(folder, 'film.torrent'), '')
  },
  async run(folder, step) {
    for (const fact of ['1', '2'])
      await step(fact, () => writeTorrent(join(folder, 'film.torrent'), pattern(0, 1000 * Number(fact))))
  },
  async after(folder, progress) {
    const bytes = readFileSync(join(folder, 'film.torrent'))
    const found = String(bytes.length / 1000)
    assert.ok(possible(progress, '0').includes(found), found)
    assert.deepEqual(bytes, Buffer.from(pattern(0, bytes.length)))
  }
}

for (const writer of [
  ...records,
  torrents,
  session,
  lock,
  key,
  partsFile,
  newPartsFile,
  files,
  young,
  dht,
  seeds,
  ofCommand
])
  testWriter(writer)

// ---- the harness itself ----

/** Writes a file in ways that lose data. */
function careless(run: (file: string, content: string) => Promise<void>): Writer {
  return {
    name: 'careless',
    rawErrors: true,
    async before(folder) {
      await writeFile(join(folder, 'file'), 'old')
    },
    async run(folder, step) {
      await step('newer', () => run(join(folder, 'file'), 'newer'))
    },
    async after(folder, progress) {
      const found = readFileSync(join(folder, 'file'), 'utf8')
      assert.ok(possible(progress, 'old').includes(found), `found '${found}'`)
    }
  }
}

const mistakes = [
  {
    title: 'a file that is written in place',
    fault: 'tear',
    message: /step 1, writeFile file: found 'ne'/,
    run: (file: string, content: string) => writeFile(file, content)
  },
  {
    title: 'a file that is not synced before it replaces the old one',
    fault: 'die',
    message: /found ''/,
    run: async (file: string, content: string) => {
      await writeFile(`${file}.tmp`, content)
      await rename(`${file}.tmp`, file)
      await syncFolder(nodeFs, dirname(file))
    }
  },
  {
    title: 'a temporary file that stays behind when the disk is full',
    fault: 'short',
    message: /files that are left/,
    run: async (file: string, content: string) => {
      const name = `${file}.${Math.random()}`
      await writeFile(name, content)
      await rename(name, file)
    }
  },
  {
    title: 'a writer that waits forever for a full disk',
    fault: 'full',
    message: /hangs/,
    run: async (file: string, content: string) => {
      await writeFile(`${file}.tmp`, content).catch(() => new Promise(() => {}))
      await rename(`${file}.tmp`, file)
    }
  }
] as const

for (const { title, fault, message, run } of mistakes) {
  test(`the harness detects ${title}`, async () => {
    await assert.rejects(stopEverywhere(careless(run), fault, 2000), message)
  })
}
