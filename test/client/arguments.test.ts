import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { decode, decodeDetailed, decodePrefix, encode } from '../../lib/bencode.ts'
import { DHT, immutableTarget, mutableTarget } from '../../lib/dht.ts'
import { Client, FileStorage, MemoryStorage, readSource, type Torrent, verifyFiles } from '../../lib/index.ts'
import {
  createTorrent,
  formatMagnet,
  formatTorrent,
  parseInfo,
  parseMagnet,
  parseTorrent
} from '../../lib/metainfo.ts'
import { createServer } from '../../lib/server.ts'
import type { AddOptions } from '../../lib/torrent/torrent-options.ts'
import { announce, announceTiers, scrape } from '../../lib/tracker.ts'
import { Wire } from '../../lib/wire.ts'
import { findRoot } from '../support/root.ts'
import { turns } from '../support/turns.ts'
import { Bench } from '../torrent/bench.ts'

const bad: readonly unknown[] = [
  undefined,
  null,
  42,
  '',
  'text',
  {},
  [],
  Symbol('bad'),
  Number.NaN,
  -1,
  true,
  10n,
  Object.create(null),
  { nonsense: 1 },
  [null],
  () => {}
]

interface Call {
  /** Calls a function with a bad value as one argument. */
  readonly call: (value: never) => unknown
  /** Returns whether a value is valid or harmless. */
  readonly takes?: (value: unknown) => boolean
}

const nothing = (value: unknown): boolean => value === undefined
const noOptions = (value: unknown): boolean =>
  value === undefined ||
  (typeof value === 'object' && value !== null && !Array.isArray(value) && !('nonsense' in value))
const anyBut =
  (...refused: readonly unknown[]) =>
  (value: unknown): boolean =>
    !refused.includes(value)

/** Asserts that an error is a TorrentError, or the RangeError that the documentation names. */
function assertOurs(error: unknown, what: string): void {
  const { name, code } = error as { name?: string; code?: string }
  const isOurs = name === 'TorrentError' || (name === 'RangeError' && code !== 'ERR_INVALID_ARG_TYPE')
  assert.ok(isOurs, `${what}: ${(error as Error)?.stack ?? String(error)}`)
}

async function tryAll(what: string, { call, takes = () => false }: Call): Promise<void> {
  for (const value of bad) {
    const shown = `${what}(${typeof value === 'symbol' ? 'symbol' : typeof value === 'function' ? 'function' : typeof value === 'bigint' ? '10n' : JSON.stringify(value)})`
    let error: unknown
    try {
      const result = call(value as never)
      await result
    } catch (thrown) {
      error = thrown
    }
    if (error !== undefined) assertOurs(error, shown)
    else if (!takes(value)) assert.fail(`${shown} was taken`)
  }
}

const request = { infoHash: new Uint8Array(20), peerId: new Uint8Array(20), port: 1 }
const url = 'http://127.0.0.1:1/announce'
const hash = new Uint8Array(20)

/** Closes the result of an accepted call. */
async function ended(closable: { close(): unknown }): Promise<void> {
  await closable.close()
}

const functions: Readonly<Record<string, Call>> = {
  'new Client': { call: (value) => ended(new Client(value)), takes: noOptions },
  decode: { call: (value) => decode(value) },
  decodeDetailed: { call: (value) => decodeDetailed(value) },
  decodePrefix: { call: (value) => decodePrefix(value) },
  encode: { call: (value) => encode(value), takes: anyBut(undefined, null, true) },
  parseTorrent: { call: (value) => parseTorrent(value) },
  parseInfo: { call: (value) => parseInfo(value) },
  parseMagnet: { call: (value) => parseMagnet(value) },
  formatMagnet: { call: (value) => formatMagnet(value) },
  'formatMagnet of odd fields': { call: (value) => formatMagnet({ infoHashes: { v1: value } }) },
  formatTorrent: { call: (value) => formatTorrent(value) },
  createTorrent: { call: (value) => createTorrent(value) },
  'createTorrent with options': {
    call: (value) => createTorrent('/dev/null/nowhere', value)
  },
  announce: { call: (value) => ended(announce(value, request)) },
  'announce of a request': { call: (value) => ended(announce(url, value)) },
  'announce with options': { call: (value) => ended(announce(url, request, value)), takes: noOptions },
  announceTiers: {
    call: (value) => ended(announceTiers(value, request)),
    takes: (value) => Array.isArray(value) && value.length === 0
  },
  'announceTiers of a request': { call: (value) => ended(announceTiers([], value)) },
  'announceTiers with options': {
    call: (value) => ended(announceTiers([], request, value)),
    takes: noOptions
  },
  scrape: { call: (value) => scrape(value, [hash]) },
  'scrape of hashes': {
    call: (value) => scrape(url, value),
    takes: (value) => Array.isArray(value) && value.length === 0
  },
  'scrape with options': { call: (value) => scrape(url, [hash], value) },
  immutableTarget: { call: (value) => immutableTarget(value) },
  mutableTarget: { call: (value) => mutableTarget(value) },
  'mutableTarget with salt': { call: (value) => mutableTarget(hash, value), takes: nothing },
  'new FileStorage': { call: (value) => new FileStorage(value) },
  readSource: { call: (value) => readSource(value) },
  'readSource with options': { call: (value) => readSource('00'.repeat(20), value), takes: noOptions },
  'new MemoryStorage': { call: () => new MemoryStorage(), takes: () => true },
  'new Wire': { call: (value) => new Wire(value).destroy(), takes: noOptions }
}
for (const [what, call] of Object.entries(functions)) {
  test(`${what} refuses invalid values with an error of its own`, { timeout: 30_000 }, () =>
    tryAll(what, call)
  )
}

test('options of every call refuse values of the wrong type', { timeout: 60_000 }, async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const one = (option: string) => (value: unknown) => ({ [option]: value })
  const isFlag = (value: unknown): boolean => value === undefined || typeof value === 'boolean'
  const isAmount = (value: unknown): boolean => value === undefined || value === 42
  const isText = (value: unknown): boolean =>
    value === undefined || (typeof value === 'string' && value !== '')
  const isEmptyList = (value: unknown): boolean =>
    value === undefined || (Array.isArray(value) && value.length === 0)
  const add = async (options: object): Promise<void> => {
    await client.remove(await client.add(sample.bytes, { path: sample.folder, ...options }))
  }
  const ofAdd: Record<string, (value: unknown) => boolean> = {
    path: isText,
    select: isEmptyList,
    trackers: isEmptyList,
    peers: isEmptyList,
    trust: nothing,
    storage: nothing,
    signal: nothing,
    verify: isFlag,
    overwrite: isFlag,
    paused: isFlag,
    seedRatio: isAmount,
    seedTime: isAmount,
    downloadLimit: isAmount,
    uploadLimit: isAmount,
    superSeeding: isFlag
  }
  for (const [option, takes] of Object.entries(ofAdd)) {
    // A relative path would make a folder here.
    const isRelative = (value: unknown): boolean => option === 'path' && value === 'text'
    await tryAll(`add ${option}`, {
      call: (value) => (isRelative(value) ? undefined : add(one(option)(value))),
      takes
    })
  }
  const ofClient: Record<string, (value: unknown) => boolean> = {
    port: (value) => value === undefined || value === 42,
    path: isText,
    state: nothing,
    restore: (value) => value === undefined || value === false,
    maxConnections: isAmount,
    memoryLimit: isAmount,
    maxActiveDownloads: isAmount,
    seedRatio: isAmount,
    uploadLimit: isAmount,
    lsd: isFlag,
    pex: isFlag,
    dht: (value) => isFlag(value) || noOptions(value),
    utp: nothing
  }
  for (const [option, takes] of Object.entries(ofClient)) {
    const isRelative = (value: unknown): boolean => option === 'state' && value === 'text'
    await tryAll(`Client ${option}`, {
      call: (value) =>
        isRelative(value)
          ? undefined
          : ended(new Client({ host: '127.0.0.1', dht: false, lsd: false, ...one(option)(value) })),
      takes: (value) => takes(value) || isRelative(value)
    })
  }
  const isFunction = (value: unknown): boolean => value === undefined || typeof value === 'function'
  const ofCalls: Record<string, [(options: never) => unknown, Record<string, (value: unknown) => boolean>]> =
    {
      readSource: [
        (options) => readSource(sample.bytes, options),
        { signal: nothing, trust: nothing, host: (value) => value === undefined || typeof value === 'string' }
      ],
      verifyFiles: [
        (options) => verifyFiles(sample.metainfo, sample.folder, options),
        { signal: nothing, onProgress: isFunction }
      ],
      announce: [(options) => ended(announce(url, request, options)), { trust: isFunction }],
      announceTiers: [(options) => ended(announceTiers([], request, options)), { trust: isFunction }]
    }
  for (const [what, [call, options]] of Object.entries(ofCalls)) {
    for (const [option, takes] of Object.entries(options))
      await tryAll(`${what} ${option}`, { call: (value) => call(one(option)(value) as never), takes })
  }
  const ofCreate: Record<string, (value: unknown) => boolean> = {
    name: (value) => value === undefined || value === 'text',
    ignore: (value) => value === undefined || typeof value === 'function',
    signal: nothing,
    pieceLength: nothing,
    trackers: isEmptyList,
    webSeeds: isEmptyList,
    private: isFlag,
    comment: (value) => value === undefined || typeof value === 'string',
    createdBy: (value) => value === undefined || typeof value === 'string',
    creationDate: nothing,
    source: (value) => value === undefined || typeof value === 'string',
    onProgress: isFunction
  }
  for (const [option, takes] of Object.entries(ofCreate)) {
    await tryAll(`createTorrent ${option}`, {
      call: (value) => createTorrent(sample.root, one(option)(value)),
      takes
    })
    await tryAll(`seed ${option}`, {
      call: async (value) => client.remove(await client.seed(sample.root, one(option)(value))),
      takes
    })
  }
  for (const [option, takes] of Object.entries({
    start: (value: unknown) => value === undefined || value === 42,
    end: (value: unknown) => value === undefined || value === 42,
    signal: nothing,
    unverified: isFlag,
    encoding: (value: unknown) => value === undefined || value === null,
    highWaterMark: (value: unknown) => value === undefined || value === 42,
    emitClose: isFlag,
    flags: () => true,
    mode: () => true,
    autoClose: () => true
  })) {
    const torrent = await client.add(sample.bytes, { path: sample.folder })
    await tryAll(`createReadStream ${option}`, {
      call: (value) => void torrent.files[0]?.createReadStream(one(option)(value)).destroy(),
      takes
    })
  }
})

test('methods of client, torrent, file and stream refuse invalid values', {
  timeout: 60_000
}, async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const torrent: Torrent = await client.add(sample.bytes, { path: sample.folder })
  await torrent.whenDone()
  const [file] = torrent.files
  assert.ok(file !== undefined)
  const isList = (value: unknown): boolean => Array.isArray(value) && value.length === 0
  const set = (target: object, name: string) => (value: unknown) => Reflect.set(target, name, value)
  const amount = (value: unknown): boolean => value === 42
  const calls: Readonly<Record<string, Call>> = {
    'client.add': { call: (value) => client.add(value) },
    'client.add of half a Metainfo': {
      call: (value) => client.add({ infoHashes: value, info: value } as never)
    },
    'client.add with options': { call: (value) => client.add(sample.bytes, value), takes: noOptions },
    'torrent.addTrackers with trust': {
      call: (value) => torrent.addTrackers([], value),
      takes: nothing
    },
    verifyFiles: { call: (value) => verifyFiles(value, sample.folder) },
    'verifyFiles of a folder': {
      call: (value) => verifyFiles(sample.metainfo, value),
      takes: (value) => value === 'text'
    },
    'verifyFiles with options': {
      call: (value) => verifyFiles(sample.metainfo, sample.folder, value),
      takes: noOptions
    },
    'client.seed': { call: (value) => client.seed(value) },
    'client.seed with options': { call: (value) => client.seed('/dev/null/nowhere', value) },
    'client.get': { call: (value) => client.get(value), takes: (value) => typeof value === 'string' },
    'client.remove': { call: (value) => client.remove(value), takes: (value) => typeof value === 'string' },
    'client.remove with options': { call: (value) => client.remove('00', value), takes: noOptions },
    'client.move': { call: (value) => client.move(value, 0), takes: (value) => typeof value === 'string' },
    'client.move to': {
      call: (value) => client.move(torrent, value),
      takes: amount
    },
    ...Object.fromEntries(
      ['downloadLimit', 'uploadLimit', 'maxActiveDownloads', 'maxActiveSeeds', 'seedRatio', 'seedTime'].map(
        (name) => [`client.${name} =`, { call: set(client, name), takes: amount }]
      )
    ),
    'torrent.select': { call: (value) => torrent.select(value), takes: isList },
    'torrent.select with priority': { call: (value) => torrent.select(0, value), takes: nothing },
    'torrent.deselect': { call: (value) => torrent.deselect(value), takes: isList },
    'torrent.addPeer': { call: (value) => torrent.addPeer(value) },
    'torrent.addTrackers': { call: (value) => torrent.addTrackers(value), takes: isList },
    'torrent.whenDone': { call: (value) => torrent.whenDone(value), takes: noOptions },
    'torrent.whenDone with a signal': {
      call: (value) => torrent.whenDone({ signal: value }),
      takes: nothing
    },
    'torrent.downloadLimit =': { call: set(torrent, 'downloadLimit'), takes: amount },
    'torrent.uploadLimit =': { call: set(torrent, 'uploadLimit'), takes: amount },
    'torrent.seedRatio =': {
      call: set(torrent, 'seedRatio'),
      takes: (value) => amount(value) || nothing(value)
    },
    'torrent.seedTime =': {
      call: set(torrent, 'seedTime'),
      takes: (value) => amount(value) || nothing(value)
    },
    'torrent.superSeeding =': { call: set(torrent, 'superSeeding'), takes: (value) => value === true },
    'file.select': { call: (value) => file.select(value), takes: nothing },
    'file.createReadStream': {
      call: (value) => void file.createReadStream(value).destroy(),
      takes: noOptions
    },
    'file.stream': { call: (value) => file.stream(value).cancel(), takes: noOptions },
    'file.arrayBuffer': { call: (value) => file.arrayBuffer(value), takes: noOptions },
    'file.text': { call: (value) => file.text(value), takes: noOptions },
    'stream.seek': {
      call: (value) => {
        const stream = file.createReadStream()
        try {
          stream.seek(value)
        } finally {
          stream.destroy()
        }
      },
      takes: amount
    },
    createServer: { call: (value) => createServer(value) },
    'createServer with options': { call: (value) => createServer(client, value), takes: noOptions }
  }
  for (const [what, call] of Object.entries(calls)) await tryAll(what, call)
})

test('methods of a DHT refuse invalid values', { timeout: 60_000 }, async () => {
  const local = { host: '127.0.0.1', bootstrap: [] }
  const names = {
    port: (value: unknown) => value === undefined || value === 42,
    bootstrap: (value: unknown) => value === undefined || (Array.isArray(value) && value.length === 0),
    nodes: (value: unknown) => value === undefined || (Array.isArray(value) && value.length === 0),
    state: (value: unknown) => value === undefined || typeof value === 'object',
    readOnly: (value: unknown) => value === undefined || typeof value === 'boolean',
    lazy: (value: unknown) => value === undefined || typeof value === 'boolean',
    id: nothing,
    onWarning: (value: unknown) => value === undefined || typeof value === 'function',
    lookup: (value: unknown) => value === undefined || typeof value === 'function'
  }
  for (const [option, takes] of Object.entries(names)) {
    await tryAll(`DHT ${option}`, { call: (value) => ended(new DHT({ ...local, [option]: value })), takes })
  }
  await tryAll('new DHT', {
    call: (value) => {
      // Keep out of the public network.
      if (!noOptions(value)) return ended(new DHT(value))
    },
    takes: noOptions
  })
  await using dht = new DHT(local)
  await dht.ready
  const calls: Readonly<Record<string, Call>> = {
    'dht.connected': {
      // No node answers.
      call: (value) => Promise.race([dht.connected(value), turns()]),
      takes: noOptions
    },
    'dht.peers': { call: (value) => void dht.peers(value) },
    'dht.peers with options': { call: (value) => void dht.peers(hash, value), takes: noOptions },
    'dht.announce': { call: (value) => dht.announce(value, 1) },
    'dht.announce of a port': { call: (value) => dht.announce(hash, value), takes: (value) => value === 42 },
    'dht.announce with options': { call: (value) => dht.announce(hash, 1, value), takes: noOptions },
    'dht.scrape': { call: (value) => dht.scrape(value) },
    'dht.scrape with options': { call: (value) => dht.scrape(hash, value), takes: noOptions },
    'dht.get': { call: (value) => dht.get(value) },
    'dht.get with options': { call: (value) => dht.get(hash, value), takes: noOptions },
    'dht.put': { call: (value) => dht.put(value) },
    'dht.put of a key': { call: (value) => dht.put({ value: 1, privateKey: value }), takes: nothing },
    'dht.put of a public key': { call: (value) => dht.put({ value: 1, publicKey: value }), takes: nothing },
    'dht.put with options': { call: (value) => dht.put({ value: 1 }, value), takes: noOptions },
    'dht.addNode': { call: (value) => dht.addNode(value) }
  }
  for (const [what, call] of Object.entries(calls)) await tryAll(what, call)
})

test('methods of a wire refuse invalid values', async () => {
  const wire = new Wire({ pieceCount: 10 })
  wire.handshake(hash, hash)
  const index = (value: unknown): boolean => value === 42
  const calls: Readonly<Record<string, Call>> = {
    receive: { call: (value) => wire.receive(value) },
    'handshake of a hash': { call: (value) => new Wire().handshake(value, hash) },
    'handshake of an id': { call: (value) => new Wire().handshake(hash, value) },
    setPieceCount: { call: (value) => new Wire().setPieceCount(value), takes: index },
    have: { call: (value) => wire.have(value), takes: index },
    haveMany: {
      call: (value) => wire.haveMany(value),
      takes: (value) => Array.isArray(value) && value.length === 0
    },
    bitfield: { call: (value) => wire.bitfield(value) },
    request: { call: (value) => wire.request(value, 0, 1), takes: index },
    requests: {
      call: (value) => wire.requests(value),
      takes: (value) => Array.isArray(value) && value.length === 0
    },
    cancel: { call: (value) => wire.cancel(0, value, 1), takes: index },
    piece: { call: (value) => wire.piece(0, 0, value) },
    port: { call: (value) => wire.port(value), takes: index },
    use: { call: (value) => wire.use(value) },
    extended: { call: (value) => wire.extended('ut_pex', value) },
    extendedHandshake: { call: (value) => wire.extendedHandshake(value), takes: () => true }
  }
  for (const [what, call] of Object.entries(calls)) await tryAll(`wire.${what}`, call)
  wire.destroy()
})

const hints: readonly (readonly [what: string, call: (client: Client) => unknown, hint: RegExp])[] = [
  [
    'announce',
    (client) => client.add('00'.repeat(20), { announce: [url] } as never),
    /announce: .* use trackers/
  ],
  ['store', (client) => client.add('00'.repeat(20), { store: class {} } as never), /store: .* use storage/],
  ['a misspelt name', (client) => client.add('00'.repeat(20), { pth: '/x' } as never), /did you mean path\?/],
  [
    'another case',
    (client) => client.add('00'.repeat(20), { superseeding: true } as never),
    /did you mean superSeeding\?/
  ],
  [
    'an option of the client',
    (client) => client.add('00'.repeat(20), { maxConnections: 5 } as never),
    /one of the options of the client/
  ],
  [
    'a callback of add',
    (client) => client.add('00'.repeat(20), (() => {}) as never),
    /callbacks are not supported/
  ],
  [
    'a callback of add behind options',
    (client) => Reflect.apply(client.add, client, ['00'.repeat(20), {}, () => {}]),
    /callbacks/
  ],
  ['a callback of seed', (client) => Reflect.apply(client.seed, client, ['/tmp', {}, () => {}]), /callbacks/],
  ['a callback of remove', (client) => Reflect.apply(client.remove, client, ['00', () => {}]), /callbacks/],
  ['path of seed', (client) => client.seed('/tmp', { path: '/x' } as never), /seeded from where they are/],
  [
    'announceList of seed',
    (client) => client.seed('/tmp', { announceList: [[url]] } as never),
    /use trackers/
  ],
  [
    'bytes to seed without a name',
    (client) => client.seed(Buffer.from('data')),
    /option name: bytes .* need a name/
  ],
  [
    'a blob to seed without a name',
    (client) => client.seed(new Blob(['data'])),
    /option name: .* need a name/
  ],
  ['maxConns', () => new Client({ maxConns: 5 } as never), /use maxConnections/],
  ['utPex', () => new Client({ utPex: true } as never), /use pex/],
  ['trackers of the client', () => new Client({ trackers: [] } as never), /one of the options of add/],
  ['trust of the client', () => new Client({ trust: 'remote' } as never), /one of the options of add/],
  ['overwrite of the client', () => new Client({ overwrite: true } as never), /one of the options of add/],
  [
    'a callback of createTorrent',
    () => Reflect.apply(createTorrent, undefined, ['/tmp', {}, () => {}]),
    /callbacks/
  ],
  ['urlList of createTorrent', () => createTorrent('/tmp', { urlList: [] } as never), /use webSeeds/],
  [
    'a callback of createServer',
    (client) => Reflect.apply(createServer, undefined, [client, {}, () => {}]),
    /callbacks/
  ],
  ['port of createServer', (client) => createServer(client, { port: 1 } as never), /no such option/],
  ['a callback of new DHT', () => Reflect.construct(DHT, [{}, () => {}]), /callbacks/],
  [
    'a callback of announce',
    () => Reflect.apply(announce, undefined, [url, request, {}, () => {}]),
    /callbacks/
  ],
  ['port of announce', () => announce(url, request, { port: 1 } as never), /one of the request/]
]
for (const [what, call, hint] of hints) {
  test(`${what} is refused with a hint`, async (t) => {
    const client = new Bench(t).client()
    await assert.rejects(
      async () => call(client),
      (error: Error) => {
        assert.equal(error.name, 'TorrentError')
        assert.match(error.message, hint)
        return true
      }
    )
    assert.deepEqual(client.torrents, [])
  })
}

test('a file is not selected by its path, and the error says how', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const torrent = await bench.client().add(sample.bytes, { path: sample.folder })
  assert.throws(() => torrent.select('film.mkv' as never), {
    code: 'ERR_TORRENT_SELECT',
    message: /torrent\.files\.find\(\(\{ path \}\) => path === 'film\.mkv'\)/
  })
})

/** Returns the options in the first column of a table of docs/options.md. */
function documented(table: string): string[] {
  const text = readFileSync(path.join(findRoot(), 'docs/options.md'), 'utf8')
  const [, rows = ''] = new RegExp(`^\\| option of \`${table}\` .*\\n((?:\\|.*\\n)+)`, 'm').exec(text) ?? []
  return rows
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
}

test('add takes every option of its documentation, and no other', async (t) => {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'film.mkv': 50_000 })
  const client = bench.client()
  const values: Readonly<Required<AddOptions>> = {
    path: bench.folder(),
    select: [0],
    trackers: [url],
    peers: ['127.0.0.1:1'],
    trust: 'program',
    storage: new MemoryStorage(),
    signal: new AbortController().signal,
    verify: true,
    overwrite: true,
    paused: true,
    downloadLimit: 1,
    uploadLimit: 1,
    superSeeding: true,
    seedRatio: 1,
    seedTime: 1
  }
  const names = Object.keys(values)
  assert.deepEqual(documented('add').sort(), [...names].sort())
  for (const [name, value] of Object.entries(values))
    await client.remove(await client.add(sample.bytes, { path: bench.folder(), [name]: value }))
  await client.remove(await client.add(sample.bytes, { ...values, storage: new MemoryStorage() }))
  const ofClient = documented('Client')
  assert.ok(ofClient.length > 10)
  for (const name of [...ofClient, 'name', 'comment', 'deleteFiles', 'toString', '__proto__x']) {
    if (names.includes(name)) continue
    await assert.rejects(
      client.add(sample.bytes, { [name]: undefined } as never),
      /there is no such option/,
      name
    )
  }
  for (const name of names.filter((one) => !ofClient.includes(one)))
    assert.throws(() => new Client({ [name]: undefined } as never), /one of the options of add/, name)
})
