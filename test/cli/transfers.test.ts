import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { Client } from '../../lib/index.ts'
import { createTorrent, parseTorrent } from '../../lib/metainfo.ts'
import { toHex } from '../../lib/util/bytes.ts'
import { local, runCommand, start, temporaryFolder } from './run-command.ts'
import { bytesOf, seedFiles } from './seeder.ts'

const film = bytesOf(3_000_000, 1)
const folderFiles = {
  'film/film.mkv': film,
  'film/readme.txt': bytesOf(100, 2),
  'film/extra/a.srt': bytesOf(50_000, 3)
}

test('download writes every byte, and plain lines without control characters', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const { code, stdout, stderr } = await runCommand(t, folder, ['download', magnet, '--dir', 'out', ...local])
  assert.equal(code, 0, stderr)
  for (const [file, bytes] of Object.entries(folderFiles)) {
    assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'out', file))), bytes)
  }
  assert.match(stdout, /^film: 2\.9 MiB in 3 files$/m)
  assert.match(stdout, /^Complete: film\/readme\.txt$/m)
  assert.match(stdout, /^Done: .*film: 3 files, /m)
  assert.match(stdout, /^[\x20-\x7e\n]+$/)
  assert.equal(stderr, '')
  assert.ok(existsSync(path.join(folder, 'state', 'piecewise')), "the state is in the user's folder")
  assert.ok(!existsSync(path.join(folder, 'out', '.piecewise')))
})

test('download takes a URL and fetches the selected files', async (t) => {
  const folder = temporaryFolder(t)
  const { address, torrentPath } = await seedFiles(t, folder, 'film', folderFiles)
  const server = createServer((_, response) => response.end(readFileSync(torrentPath))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const bound = server.address()
  const url = `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}/film.torrent`
  const args = ['download', url, '--peer', address, '--dir', 'out', ...local]
  const some = await runCommand(t, folder, [...args, '--select', '*.srt'])
  assert.equal(some.code, 0, some.stderr)
  assert.ok(existsSync(path.join(folder, 'out/film/extra/a.srt')))
  assert.ok(!existsSync(path.join(folder, 'out/film/film.mkv')))
  const none = await runCommand(t, folder, [...args, '--select', '*.avi'])
  assert.equal(none.code, 2)
  assert.match(none.stderr, /^piecewise: no file of the torrent matches --select '\*\.avi'[^\n]*\n$/)
  const idle = await runCommand(t, folder, [...args, '--select', 'none'])
  assert.equal(idle.code, 0, idle.stderr)
  assert.match(idle.stdout, /^Nothing is selected, so nothing is downloaded\.$/m)
  assert.doesNotMatch(idle.stdout, /Done|seeding/)
  const rest = await runCommand(t, folder, args)
  assert.equal(rest.code, 0, rest.stderr)
  assert.ok(existsSync(path.join(folder, 'out/film/film.mkv')), 'without --select everything is wanted again')
  const complete = await runCommand(t, folder, [...args, '--select', 'none'])
  assert.equal(complete.code, 0, complete.stderr)
  assert.match(complete.stdout, /^Done: /m)
})

test('--json writes only lines of JSON', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const { code, stdout, stderr } = await runCommand(t, folder, [
    'download',
    magnet,
    '--dir',
    'out',
    '--json',
    ...local
  ])
  assert.equal(code, 0, stderr)
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    // While metadata is awaited there may be any number.
    .filter(({ event }) => event !== 'status')
  assert.equal(events[0].event, 'torrent')
  assert.equal(events.at(-1).event, 'done')
  assert.equal(events.at(-1).received, events[0].length)
  assert.equal(events.filter(({ event }) => event === 'verified').length, events[0].pieceCount)
  assert.equal(events.filter(({ event }) => event === 'file').length, 3)
  const failed = await runCommand(t, folder, ['download', 'absent.torrent', '--json', ...local])
  assert.equal(failed.code, 1)
  assert.equal(JSON.parse(failed.stdout).event, 'error')
})

test('Ctrl+C in mid-download keeps the blocks, and nothing is fetched twice', async (t) => {
  const folder = temporaryFolder(t)
  const seeder = await seedFiles(t, folder, 'film', folderFiles, { uploadLimit: 1_000_000 })
  const args = ['download', seeder.magnet, '--dir', 'out', ...local]
  const first = start(t, folder, [...args, '--json'])
  await first.find(/"verified","piece":\d+,"progress":0\.[1-9]/)
  first.child.kill('SIGINT')
  assert.equal(await first.ended, 130)
  assert.match(first.stdout, /"event":"stopped"/)
  const sent = seeder.torrent.uploaded
  seeder.client.uploadLimit = Number.POSITIVE_INFINITY
  const { code, stdout, stderr } = await runCommand(t, folder, [...args, '--json'])
  assert.equal(code, 0, stderr)
  const done = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  const length = seeder.torrent.length
  assert.ok(done.received < length, `${done.received} of ${length} bytes came after ${sent} had been sent`)
  // Blocks in transit at the end of the first run may arrive again.
  assert.ok(done.received <= 0.9 * length + 32768, `${done.received} bytes came in the second run`)
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'out/film/film.mkv'))), film)
})

test('a second Ctrl+C quits at once, also when a tracker does not answer', async (t) => {
  const folder = temporaryFolder(t)
  let announces = 0
  const peer = createTcpServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  await once(peer, 'listening')
  t.after(() => peer.close())
  const { port } = peer.address() as AddressInfo
  // The first announce is answered with a peer, so a stopped is due, which gets no answer.
  const tracker = createServer((_, response) => {
    const peers = Buffer.from([127, 0, 0, 1, port >> 8, port & 255])
    if (announces++ === 0)
      response.end(Buffer.concat([Buffer.from('d8:intervali900e5:peers6:'), peers, Buffer.from('e')]))
  }).listen(0, '127.0.0.1')
  await once(tracker, 'listening')
  t.after(() => {
    tracker.close()
    tracker.closeAllConnections()
  })
  const bound = tracker.address()
  const url = `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}/announce`
  const run = start(t, folder, [
    'download',
    `magnet:?xt=urn:btih:${'ab'.repeat(20)}&tr=${encodeURIComponent(url)}`,
    ...local
  ])
  const goodbye = once(tracker, 'request').then(() => once(tracker, 'request'))
  await once(peer, 'connection')
  run.child.kill('SIGINT')
  await run.find(/Stopping/)
  await goodbye
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 130)
  assert.doesNotMatch(run.stdout, /Stopped/)
})

test('SIGTERM stops before the files are known', async (t) => {
  const folder = temporaryFolder(t)
  const run = start(t, folder, ['download', 'ab'.repeat(20), '--verbose', ...local, '--json'])
  await run.find(/"event":"status","label":"waiting for metadata"/)
  run.child.kill('SIGTERM')
  assert.equal(await run.ended, 130)
  assert.equal(run.stderr, '')
})

test('download --seed --ratio uploads as much as it fetched, and --verify finds existing data', async (t) => {
  const folder = temporaryFolder(t)
  const files = { 'one.bin': bytesOf(400_000, 5) }
  const { torrentPath, torrent } = await seedFiles(t, folder, 'one.bin', files)
  const run = start(t, folder, [
    'download',
    torrentPath,
    '--dir',
    'source',
    '--verify',
    '--seed',
    '--ratio',
    '0.5',
    '--json',
    ...local
  ])
  await run.find(/"event":"done"/)
  const seeding = start(t, folder, [
    'seed',
    'source/one.bin',
    '--piece-length',
    '32K',
    '--out',
    'made.torrent',
    '--json',
    ...local
  ])
  const { magnet, infoHash } = JSON.parse((await seeding.find(/\{"event":"seeding".*\}/))[0])
  assert.equal(infoHash, torrent.infoHash)
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, path: path.join(folder, 'copy') })
  t.after(() => client.close())
  const copy = await client.add(magnet)
  await copy.whenDone()
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'copy/one.bin'))), files['one.bin'])
  assert.equal(
    toHex(parseTorrent(readFileSync(path.join(folder, 'made.torrent'))).infoHashes.v1 ?? new Uint8Array()),
    infoHash
  )
  seeding.child.kill('SIGINT')
  assert.equal(await seeding.ended, 130)
})

test('seed ends by itself at its ratio', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'one.bin'), bytesOf(300_000, 9))
  const run = start(t, folder, ['seed', 'one.bin', '--ratio', '0.9', ...local])
  const [magnet] = await run.find(/magnet:\S+/)
  const client = new Client({ host: '127.0.0.1', dht: false, lsd: false, path: path.join(folder, 'copy') })
  t.after(() => client.close())
  await (await client.add(magnet)).whenDone()
  assert.equal(await run.ended, 0)
  assert.match(run.stdout, /^Seeded: 293 KiB uploaded/m)
})

test('create gives the same info hash as other programs', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'one.bin'), bytesOf(300_000, 7))
  const { code, stdout } = await runCommand(t, folder, [
    'create',
    'one.bin',
    '--out',
    'one.torrent',
    '--json'
  ])
  assert.equal(code, 0)
  const expected = parseTorrent(await createTorrent(path.join(folder, 'one.bin'))).infoHashes.v1
  const made = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  assert.equal(made.infoHash, toHex(expected ?? new Uint8Array()))
  assert.deepEqual(parseTorrent(readFileSync(path.join(folder, 'one.torrent'))).infoHashes.v1, expected)
})

test('stream --stdout writes the file and nothing else', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const run = start(t, folder, ['stream', magnet, '--stdout', '--file', '*.srt', '--dir', 'out', ...local])
  run.child.stdout.setEncoding('latin1')
  assert.equal(await run.ended, 0, run.stderr)
  assert.deepEqual(new Uint8Array(Buffer.from(run.stdout, 'latin1')), folderFiles['film/extra/a.srt'])
  assert.match(run.stderr, /^Streaming film\/extra\/a\.srt/m)
  assert.ok(!existsSync(path.join(folder, 'out/film/film.mkv')), 'unselected files are not fetched')
})

test('a reader that closes early ends the stream without a message', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const run = start(t, folder, ['stream', magnet, '--stdout', '--quiet', '--dir', 'out', ...local])
  await once(run.child.stdout, 'data')
  run.child.stdout.destroy()
  assert.equal(await run.ended, 0, run.stderr)
  assert.equal(run.stderr, '')
})

test('stream prints a URL with ranges, and the file is complete behind it', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const run = start(t, folder, ['stream', magnet, '--dir', 'out', '--json', ...local])
  const { url, type } = JSON.parse((await run.find(/\{"event":"url".*\}/))[0])
  assert.equal(type, 'video/x-matroska')
  const response = await fetch(url, { headers: { range: 'bytes=2000000-2000099' } })
  assert.equal(response.status, 206)
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), film.subarray(2_000_000, 2_000_100))
  await run.find(/"event":"done"/)
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 130)
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'out/film/film.mkv'))), film)
})

test('stream ends with its player', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  const player = path.join(folder, 'player.mjs')
  writeFileSync(
    player,
    `import { writeFileSync } from 'node:fs'
const body = await (await fetch(process.argv[2])).arrayBuffer()
writeFileSync('played', Buffer.from(body))
process.exitCode = Number(process.argv[3] ?? 0)`
  )
  const args = ['stream', magnet, '--dir', 'out', ...local]
  const good = await runCommand(t, folder, [...args, '--play', `"${process.execPath}" "${player}" {url}`])
  assert.equal(good.code, 0, good.stderr)
  assert.deepEqual(new Uint8Array(readFileSync(path.join(folder, 'played'))), film)
  const bad = await runCommand(t, folder, [...args, '--', process.execPath, player, '{url}', '3'])
  assert.equal(bad.code, 1)
  assert.match(bad.stderr, /the player ended with code 3/)
  const absent = await runCommand(t, folder, [...args, '--play', 'no-such-player-here'])
  assert.equal(absent.code, 2)
  assert.match(absent.stderr, /'no-such-player-here' could not be started: there is no such program/)
})

test('failing trackers give one warning, and one each with --verbose', async (t) => {
  const folder = temporaryFolder(t)
  const server = createServer((_, response) => response.end('no tracker')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const bound = server.address()
  const tracker = `http://127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}/announce`
  const args = [
    'download',
    'ab'.repeat(20),
    '--tracker',
    tracker,
    '--tracker',
    `${tracker}/2`,
    '--dir',
    'out',
    ...local
  ]
  const run = start(t, folder, args)
  await run.find(/^piecewise: warning: none of 2 trackers works so far: [^\n]+\n/, 'stderr')
  run.child.kill('SIGINT')
  assert.equal(await run.ended, 130)
  assert.equal(run.stderr.split('\n').length, 2)
  assert.match(run.stdout, /^Stopped before the files were known/m)
  const verbose = start(t, folder, [...args, '--verbose'])
  await verbose.find(/warning: [^\n]+\n(.*\n)*.*warning: /, 'stderr')
  verbose.child.kill('SIGINT')
  assert.equal(await verbose.ended, 130)
})

test('a file in place of the folder is reported in one sentence', async (t) => {
  const folder = temporaryFolder(t)
  const { magnet } = await seedFiles(t, folder, 'film', folderFiles)
  writeFileSync(path.join(folder, 'out'), 'a file')
  const { code, stderr } = await runCommand(t, folder, ['download', magnet, '--dir', 'out', ...local])
  assert.equal(code, 1)
  assert.match(stderr, /^piecewise: [^\n]*out[^\n]*\n$/)
})
