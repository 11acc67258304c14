// The command under failures: one sentence, no stack trace, and no lost data.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { libtorrent, type SendingPeer } from './peers/libtorrent.ts'
import { freePort } from './peers/real-peer.ts'
import { type CommandOutcome, piecewiseCommand } from './support/command.ts'
import { assertSameTree, temporaryFolder, writeRandomFile, writeWithTracker } from './support/data.ts'
import { libtorrentMaker } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { attempt, loopback, run } from './support/process.ts'

const mebibyte = 1 << 20
const length = 12 * mebibyte + 777
const { folder, remove } = temporaryFolder('failures')
const data = path.join(folder, 'data', 'film.bin')
const torrentPath = path.join(folder, 'film.torrent')
const timeoutMs = 60_000
const withSeeder = needs(libtorrent.needed, timeoutMs)
const withRoot = needs([...libtorrent.needed, 'root', 'mount', 'setpriv'], timeoutMs)
let seeder: SendingPeer | undefined
let address = ''
let serial = 0

before(async () => {
  if (withSeeder.skip !== false) return
  writeRandomFile(data, length, 'failures')
  libtorrentMaker.make(data, torrentPath, 17)
  const port = await freePort()
  address = `127.0.0.1:${port}`
  const task = { torrentPath, dataFolder: path.dirname(data), workFolder: folder, place: loopback, port }
  seeder = await libtorrent.seed(task)
})
after(async () => {
  await seeder?.stop()
  remove()
})

/** Makes a folder to download into. */
function outFolder(): string {
  const made = path.join(folder, `out-${++serial}`)
  mkdirSync(made)
  return made
}

function download(
  source: string,
  out: string,
  more: readonly string[] = [],
  under: readonly string[] = []
): Promise<CommandOutcome> {
  const stateFolder = path.join(folder, `state-${path.basename(out)}`)
  // Without the DHT: a test does not query its public nodes, and their absence would be a further warning.
  const port = more.includes('--port') ? [] : ['--port', '0']
  return piecewiseCommand(['download', source, '--dir', out, '--no-dht', ...port, ...more], {
    stateFolder,
    under
  })
}

/** Fails unless the run failed with one sentence that has all these words. */
function assertOneSentence(outcome: CommandOutcome, words: readonly RegExp[]): void {
  const { status, stderr, complaints } = outcome
  assert.ok(status > 0, `exit code ${status}: ${stderr}`)
  assert.equal(complaints.length, 1, `one line was expected: ${stderr}`)
  for (const word of words) assert.match(stderr, word)
  assertNoTrace(outcome)
}

function assertNoTrace({ stdout, stderr }: CommandOutcome): void {
  assert.doesNotMatch(stdout + stderr, /^\s+at .*(?:\.js|\.ts|node:)/m)
}

test('a full disk is one sentence, and the download resumes once there is space', withRoot, async (t) => {
  const out = outFolder()
  run(['mount', '-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', out])
  t.after(() => attempt(['umount', '-l', out]))
  const sentBefore = (await seeder?.sent()) ?? 0
  assertOneSentence(await download(torrentPath, out, ['--peer', address]), [/full|space/i])
  run(['mount', '-o', 'remount,size=64m', out])
  const sentHalfway = (await seeder?.sent()) ?? 0
  const outcome = await download(torrentPath, out, ['--peer', address])
  assert.equal(outcome.status, 0, outcome.stderr)
  assertSameTree(path.join(out, 'film.bin'), data)
  const again = ((await seeder?.sent()) ?? 0) - sentHalfway
  t.diagnostic(`${sentHalfway - sentBefore} bytes sent until the disk was full, ${again} after`)
  assert.ok(
    again < length - 4 * mebibyte,
    `${again} of ${length} bytes were fetched after the disk had room again`
  )
})

test('a folder without write permission is one sentence', withRoot, async () => {
  const out = outFolder()
  chmodSync(out, 0o500)
  // Root may write everywhere unless it lacks this capability.
  const under = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all']
  assertOneSentence(await download(torrentPath, out, ['--peer', address], under), [
    /permission|may not|not allowed|access|denied/i,
    /out-/
  ])
})

test('a busy port is a warning, and another port is used', withSeeder, async (t) => {
  const holder = createTcpServer().listen(0)
  await new Promise((resolve) => holder.once('listening', resolve))
  t.after(() => holder.close())
  const taken = holder.address()
  const port = typeof taken === 'object' && taken !== null ? taken.port : 0
  const out = outFolder()
  const outcome = await download(torrentPath, out, ['--port', `${port}`, '--peer', address])
  assert.equal(outcome.status, 0, outcome.stderr)
  assert.match(outcome.stderr, new RegExp(`${port}`))
  assertNoTrace(outcome)
  assertSameTree(path.join(out, 'film.bin'), data)
})

test('a tracker that answers garbage is a warning', withSeeder, async (t) => {
  const server: Server = createServer((_request, response) => response.end('<html>no tracker</html>')).listen(
    0,
    '127.0.0.1'
  )
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  const announced = path.join(folder, 'garbage-tracker.torrent')
  writeWithTracker(torrentPath, `http://127.0.0.1:${port}/announce`, announced)
  const out = outFolder()
  const outcome = await download(announced, out, ['--peer', address])
  assert.equal(outcome.status, 0, outcome.stderr)
  assert.match(outcome.stderr, /tracker/i)
  assertNoTrace(outcome)
  assertSameTree(path.join(out, 'film.bin'), data)
})

test('an invalid torrent is one sentence', withSeeder, async () => {
  const garbage = path.join(folder, 'garbage.torrent')
  writeFileSync(garbage, 'this is no torrent')
  const cut = path.join(folder, 'cut.torrent')
  writeFileSync(cut, readFileSync(torrentPath).subarray(0, statSync(torrentPath).size - 50))
  const absent = path.join(folder, 'absent.torrent')
  for (const source of [garbage, cut, absent, data]) {
    assertOneSentence(await download(source, outFolder()), [new RegExp(path.basename(source))])
  }
})

test('a magnet link without a hash is one sentence', withSeeder, async () => {
  for (const source of ['magnet:?xt=urn:btih:zzzz', 'magnet:?dn=nothing', 'magnet:']) {
    assertOneSentence(await download(source, outFolder()), [/magnet/i])
  }
})

test('--verbose shows where an error came from', withSeeder, async () => {
  const outcome = await download(path.join(folder, 'absent.torrent'), outFolder(), ['--verbose'])
  assert.ok(outcome.status > 0)
  assert.match(outcome.stderr, /^\s+at /m)
})
