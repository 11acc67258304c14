// Runs each example as a user does, against seeders on loopback.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { EncryptedStorage } from '../../examples/custom-storage.ts'
import { startTracker } from '../../examples/http-tracker.ts'
import { makeWav, wavBytesPerSecond } from '../../examples/wav.ts'
import { Client, MemoryStorage } from '../../lib/index.ts'
import { announce, scrape, type TrackerReply } from '../../lib/tracker.ts'
import { type Run, start, temporaryFolder } from '../cli/run-command.ts'
import { bytesOf, seedFiles } from '../cli/seeder.ts'
import { testStorage } from '../storage/contract.ts'
import { until } from '../support/until.ts'

const folderOfExamples = fileURLToPath(new URL('../../examples', import.meta.url))
const film = bytesOf(1_000_000, 11)
const files = { 'film/film.mkv': film, 'film/a.srt': bytesOf(40_000, 12) }

function example(
  t: Parameters<typeof start>[0],
  folder: string,
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {}
): Run {
  // On loopback a client stays out of the public DHT.
  const local = { HOST: '127.0.0.1', ...env }
  return start(t, folder, args, [path.join(folderOfExamples, `${name}.js`)], local)
}

test('every example begins with its purpose and how to run it', () => {
  const sources = path.join(process.cwd(), 'examples')
  for (const name of readdirSync(sources)) {
    const text = readFileSync(path.join(sources, name), 'utf8')
    assert.match(text, /^\/\/ [A-Z]/, name)
    if (name !== 'wav.ts') assert.match(text, /^\/\/ {3}(?:node dist\/examples|npm run demo)/m, name)
  }
})

test('stream to standard output', async (t) => {
  const folder = temporaryFolder(t)
  const { torrentPath, address } = await seedFiles(t, folder, 'film', files)
  const run = example(t, folder, 'stream-to-stdout', [torrentPath, address])
  run.child.stdout.setEncoding('latin1')
  assert.equal(await run.ended, 0, run.stderr)
  assert.deepEqual(new Uint8Array(Buffer.from(run.stdout, 'latin1')), film)
})

test('stream to ffmpeg, or to a substitute', async (t) => {
  const folder = temporaryFolder(t)
  const { torrentPath, address } = await seedFiles(t, folder, 'film', files)
  const standIn = path.join(folder, 'ffmpeg.mjs')
  writeFileSync(
    standIn,
    `import { writeFileSync } from 'node:fs'
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
writeFileSync(process.argv.at(-1), Buffer.concat(chunks))`
  )
  const run = example(t, folder, 'stream-to-ffmpeg', [torrentPath, 'audio.opus', address], {
    FFMPEG: `${process.execPath} ${standIn}`
  })
  assert.equal(await run.ended, 0, run.stderr)
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'audio.opus'))), film)
  const without = example(t, folder, 'stream-to-ffmpeg', [torrentPath, 'x.opus', address], {
    FFMPEG: 'no-such-ffmpeg'
  })
  assert.equal(await without.ended, 0)
  assert.match(without.stderr, /^skipped: no-such-ffmpeg cannot be started/)
})

test('stream to an HTTP response', async (t) => {
  const folder = temporaryFolder(t)
  const { torrentPath, address } = await seedFiles(t, folder, 'one.bin', { 'one.bin': film })
  const run = example(t, folder, 'stream-to-http', [torrentPath, address])
  const [url] = await run.find(/http:\S+/)
  assert.deepEqual(new Uint8Array(await (await fetch(url)).arrayBuffer()), film)
  const part = await fetch(url, { headers: { range: 'bytes=500000-500009' } })
  assert.equal(part.status, 206)
  assert.equal(part.headers.get('content-range'), `bytes 500000-500009/${film.length}`)
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), film.subarray(500_000, 500_010))
  assert.equal((await fetch(url, { headers: { range: 'bytes=2000000-' } })).status, 416)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 0)
})

test('select one file', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', files)
  const run = example(t, folder, 'select-file', [magnet, '.srt', 'out'])
  assert.equal(await run.ended, 0, run.stderr)
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'out/film/a.srt'))), files['film/a.srt'])
  assert.deepEqual(readdirSync(path.join(folder, 'out/film')), ['a.srt'])
  assert.equal(await example(t, folder, 'select-file', [magnet, '.avi', 'out']).ended, 1)
})

testStorage('encrypted', {
  make: () => new EncryptedStorage(new MemoryStorage(), new Uint8Array(32).fill(7))
})

test('a custom storage hides the bytes from readers of the disk', async (t) => {
  const folder = temporaryFolder(t)
  const { torrentPath, address } = await seedFiles(t, folder, 'one.bin', {
    'one.bin': new Uint8Array(200_000)
  })
  const run = example(t, folder, 'custom-storage', [torrentPath, 'out', 'secret', address])
  assert.equal(await run.ended, 0, run.stderr)
  const onDisk = readFileSync(path.join(folder, 'out/one.bin'))
  assert.equal(onDisk.length, 200_000)
  const zeros = onDisk.filter((byte) => byte === 0).length
  assert.ok(zeros < 1000, `${zeros} of 200000 bytes are zero, as all were before`)
})

test('for await over a tracker', async (t) => {
  const folder = temporaryFolder(t)
  const tracker = await startTracker()
  t.after(() => tracker.close())
  const seeder = new Client({ host: '127.0.0.1', dht: false, lsd: false })
  t.after(() => seeder.close())
  writeFileSync(path.join(folder, 'one.bin'), film)
  const torrent = await seeder.seed(path.join(folder, 'one.bin'), { trackers: [tracker.announceUrl] })
  // The seeder's own announce may come later than ours: repeat the query until it is there.
  const infoHash = Buffer.from(torrent.infoHash, 'hex')
  await until('the announce of the seed', () => torrent.trackers.some(({ last }) => last !== undefined))
  const run = example(t, folder, 'list-peers', [tracker.announceUrl, torrent.infoHash, '1'])
  assert.equal(await run.ended, 0, run.stderr)
  assert.equal(run.stdout, `127.0.0.1:${seeder.port}\n`)
  const reply = await new Promise<TrackerReply>((resolve) => {
    const request = { infoHash, peerId: new Uint8Array(20), port: 1 }
    const announcement = announce(tracker.announceUrl, request, { onResponse: resolve })
    t.after(() => announcement.close())
  })
  assert.deepEqual([(reply.complete ?? 0) + (reply.incomplete ?? 0), reply.peers.length], [2, 1])
  await assert.rejects(scrape(tracker.announceUrl, [infoHash]))
})

test('a tracker refuses an invalid announce', async (t) => {
  const tracker = await startTracker()
  t.after(() => tracker.close())
  for (const query of [
    '',
    '?info_hash=abc&peer_id=x&port=1',
    `?info_hash=${'a'.repeat(20)}&port=0`,
    '?%zz=%'
  ]) {
    assert.match(await (await fetch(`${tracker.announceUrl}${query}`)).text(), /^d14:failure reason/)
  }
})

test('a wire over a socket', async (t) => {
  const folder = temporaryFolder(t)
  const { torrentPath, client } = await seedFiles(t, folder, 'film', files)
  const run = example(t, folder, 'wire-over-socket', [torrentPath, '127.0.0.1', `${client.port}`])
  assert.equal(await run.ended, 0, run.stderr)
  assert.match(run.stdout, /^peer -PW\w{4}-$/m)
  assert.match(run.stdout, /^it has 32 of 32 pieces$/m)
  assert.match(run.stdout, /^piece 0, offset 0: 16384 bytes$/m)
})

test('the song is a WAV, and reproducible', () => {
  const wav = Buffer.from(makeWav(2))
  assert.equal(wav.toString('latin1', 0, 4), 'RIFF')
  assert.equal(wav.readUInt32LE(4), wav.length - 8)
  assert.equal(wav.readUInt32LE(40), 2 * wavBytesPerSecond)
  assert.equal(wav.length, 44 + 2 * wavBytesPerSecond)
  assert.deepEqual(Buffer.from(makeWav(2)), wav)
  assert.ok(wav.subarray(44).some((byte) => byte !== 0))
})

test('the demo measures and verifies every byte, stays with --serve, and exits with Ctrl+C', async (t) => {
  const folder = temporaryFolder(t)
  const run = example(t, folder, 'demo', ['--serve', '--short'], { TMPDIR: folder })
  const [url] = await run.find(/http:\/\/127.*wav/)
  for (const line of [
    /first byte +\d+ ms/,
    /first MiB +\d+ ms/,
    /seek to 90% +\d+ ms/,
    /stalls +\S/,
    /bytes +all \d+ are right/
  ]) {
    assert.match(run.stdout, line)
  }
  const response = await fetch(url, { headers: { range: 'bytes=0-3' } })
  assert.equal(await response.text(), 'RIFF')
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 0, run.stderr)
  // It leaves only the user's state folder, with the key for records.
  assert.deepEqual(readdirSync(folder), ['state'])
})
