// Loads the library into another realm, as test runners do (Jest): the globals of Node come from the main
// realm and the classes of the language do not, so errors, arrays and maps of Node are no `instanceof` of
// them. Run with --experimental-vm-modules.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import vm from 'node:vm'

const lib = new URL('../../lib/', import.meta.url)
const own = new Set(vm.runInNewContext('Object.getOwnPropertyNames(globalThis)'))
const globals: Record<string, unknown> = {}
for (const name of Object.getOwnPropertyNames(globalThis))
  if (!own.has(name)) globals[name] = Reflect.get(globalThis, name)
const context = vm.createContext(globals)
const modules = new Map<string, Promise<vm.Module>>()

/** Loads a module. `name` is a URL of a file, or a package or a module of Node. */
function load(name: string): Promise<vm.Module> {
  let loaded = modules.get(name)
  if (loaded === undefined)
    modules.set(name, (loaded = name.startsWith('file:') ? ours(name) : foreign(name)))
  return loaded
}

async function foreign(name: string): Promise<vm.Module> {
  const exported: Record<string, unknown> = await import(name)
  const names = Object.keys(exported)
  return new vm.SyntheticModule(
    names,
    function (this: vm.SyntheticModule) {
      for (const one of names) this.setExport(one, exported[one])
    },
    { context }
  )
}

async function ours(name: string): Promise<vm.Module> {
  const resolve = (specifier: string): string =>
    specifier.startsWith('.') ? new URL(specifier, name).href : specifier
  return new vm.SourceTextModule(readFileSync(fileURLToPath(name), 'utf8'), {
    context,
    identifier: name,
    initializeImportMeta: (meta) =>
      Object.assign(meta, { url: name, dirname: path.dirname(fileURLToPath(name)) }),
    importModuleDynamically: async (specifier) => {
      const module = await load(resolve(specifier))
      return ready(module)
    }
  })
}

async function ready(module: vm.Module): Promise<vm.Module> {
  if (module.status === 'unlinked')
    await module.link((specifier, from) =>
      load(specifier.startsWith('.') ? new URL(specifier, from.identifier).href : specifier)
    )
  if (module.status === 'linked') await module.evaluate()
  return module
}

const root = mkdtempSync(path.join(tmpdir(), 'piecewise-realm-'))
writeFileSync(path.join(root, 'film.mkv'), Buffer.alloc(300_000, 'film'))
globals['root'] = root
const program = new vm.SourceTextModule(
  `
import assert from 'node:assert'
import { Client, TorrentError } from '${new URL('index.js', lib).href}'
import { createServer } from '${new URL('server.js', lib).href}'
import { createTorrent, parseTorrent } from '${new URL('metainfo.js', lib).href}'
import { decode, encode } from '${new URL('bencode.js', lib).href}'
import { DHT } from '${new URL('dht.js', lib).href}'
import { announce } from '${new URL('tracker.js', lib).href}'
import { readFile } from 'node:fs/promises'

const alone = { host: '127.0.0.1', dht: false, lsd: false }
const warnings = []
const refused = async (what, code) => {
  const error = await what.then(() => undefined, (thrown) => thrown)
  assert.equal(error?.code, code, String(error?.stack ?? error))
}
assert.ok(!((await readFile(root + '/nothing').catch((error) => error)) instanceof Error))

const seeder = new Client({ ...alone, state: root + '/state' })
seeder.on('warning', (warning) => warnings.push(warning))
const seed = await seeder.seed(root + '/film.mkv', { creationDate: new Date(0), createdBy: false })
const client = new Client({ ...alone, path: root + '/data' })
client.on('warning', (warning) => warnings.push(warning))
await refused(client.add(root + '/nothing.torrent'), 'ERR_CLIENT_SOURCE')
await refused(client.seed(root + '/nothing'), 'ERR_METAINFO_CREATE')
const torrent = await client.add(seed.magnetURI, { peers: ['127.0.0.1:' + seeder.port] })
await torrent.whenDone()
assert.equal((await torrent.files[0].text()).slice(0, 4), 'film')
let length = 0
for await (const chunk of torrent.files[0].createReadStream({ start: 10 })) length += chunk.length
assert.equal(length, 299990)
assert.equal(parseTorrent(await createTorrent(root + '/film.mkv', { creationDate: new Date(0) })).length, 300000)
assert.equal(Buffer.from(decode(encode({ a: new Uint8Array([1]), b: Buffer.of(2), c: new Map([['d', 3]]) })).bytes('b')).toString('hex'), '02')

const server = createServer(client).listen(0)
await new Promise((resolve) => server.once('listening', resolve))
const response = await fetch('http://127.0.0.1:' + server.address().port + '/' + torrent.infoHash + '/film.mkv')
assert.equal((await response.arrayBuffer()).byteLength, 300000)
server.close()

const a = new DHT({ host: '127.0.0.1', bootstrap: [] })
await a.ready
const b = new DHT({ host: '127.0.0.1', bootstrap: ['127.0.0.1:' + a.ports[4]], state: Promise.resolve({ id: Buffer.alloc(20, 7) }) })
await b.ready
const { target } = await b.put({ value: new Uint8Array([1, 2]) })
assert.equal(Buffer.from((await b.get(target)).value).toString('hex'), '0102')
await a.close()
await b.close()

const told = []
const announcement = announce('udp://127.0.0.1:1/announce', { infoHash: Buffer.alloc(20), peerId: Buffer.alloc(20), port: 1 }, { onWarning: (error) => told.push(error), udpSchedule: { firstTimeoutMs: 50, retries: 0 } })
while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
assert.match(told[0].code, /^ERR_TRACKER_/)
await announcement.close()

await client.close()
await seeder.close()
assert.equal(parseTorrent(await readFile(root + '/state/' + seed.infoHash + '.torrent')).name, 'film.mkv')
const again = new Client({ ...alone, state: root + '/state' })
again.on('warning', (warning) => warnings.push(warning))
assert.equal((await again.restored())[0].done, true)
await again.close()
assert.deepEqual(warnings.map(String), [])

// A storage whose errors are Node's own, and an error without a listener.
const warned = new Promise((resolve) => process.once('warning', resolve))
const broken = {
  open: async () => {}, close: async () => {}, delete: async () => {}, sync: async () => {},
  read: async () => 0,
  write: async () => { await readFile(root + '/nothing') }
}
const seeding = new Client(alone)
const origin = await seeding.seed(root + '/film.mkv')
const failing = new Client(alone)
const bad = await failing.add(origin.torrentFile, { storage: broken, peers: ['127.0.0.1:' + seeding.port] })
await refused(bad.whenDone(), 'ERR_STORAGE_WRITE')
assert.match(String((await warned).message), /ENOENT/)
await failing.close()
await seeding.close()
`,
  { context, identifier: pathToFileURL(path.join(root, 'program.js')).href }
)
try {
  await ready(program)
  if (program.status === 'errored') throw program.error
} finally {
  rmSync(root, { recursive: true, force: true })
}
