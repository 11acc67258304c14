// ffmpeg plays a film from a torrent that is still downloading.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { Client } from '../../lib/index.ts'
import { createServer } from '../../lib/server.ts'
import { libtorrent } from './peers/libtorrent.ts'
import { freePort } from './peers/real-peer.ts'
import { temporaryFolder } from './support/data.ts'
import { mktorrent } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { loopback, run } from './support/process.ts'

/** Returns the hash of each decoded frame; `before` precedes the input, such as a seek. */
async function frames(
  input: string,
  before: readonly string[] = [],
  after: readonly string[] = []
): Promise<string> {
  const args = [
    '-v',
    'error',
    '-nostdin',
    ...before,
    '-i',
    input,
    '-map',
    '0:v',
    ...after,
    '-f',
    'framemd5',
    '-'
  ]
  const child = spawn('ffmpeg', args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL'
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [code] = await once(child, 'close')
  assert.equal(`${code} ${stderr}`, '0 ', `ffmpeg ${args.join(' ')}`)
  return stdout
}

const options = needs(['ffmpeg', ...mktorrent.needed, ...libtorrent.needed], 120_000)

test('ffmpeg reads and seeks in an incomplete film', options, async (t) => {
  const { folder, remove } = temporaryFolder('video')
  // In reverse order of opening; the folder is removed once nothing writes into it.
  const cleanups: (() => unknown)[] = [remove]
  t.after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup()
  })
  const film = path.join(folder, 'data', 'film.mp4')
  mkdirSync(path.dirname(film))
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25:duration=40']
  const sound = ['-f', 'lavfi', '-i', 'sine=duration=40']
  // The index is at the end of the file, so a player must seek before it can show anything.
  run([
    'ffmpeg',
    '-v',
    'error',
    '-nostdin',
    ...picture,
    ...sound,
    '-c:v',
    'mpeg4',
    '-b:v',
    '5M',
    '-c:a',
    'aac',
    film
  ])
  const torrentPath = path.join(folder, 'film.torrent')
  mktorrent.make(film, torrentPath, 16)
  const port = await freePort()
  const task = { torrentPath, dataFolder: path.dirname(film), workFolder: folder, place: loopback, port }
  const seeder = await libtorrent.seed({ ...task, uploadLimit: 2 << 20 })
  cleanups.push(() => seeder.stop())

  const client = new Client({
    port: 0,
    host: '127.0.0.1',
    dht: false,
    lsd: false,
    utp: false,
    natTraversal: false
  })
  cleanups.push(() => client.close())
  const torrent = await client.add(torrentPath, {
    path: path.join(folder, 'out'),
    peers: [`127.0.0.1:${port}`]
  })
  const server = createServer(torrent)
  cleanups.push(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/0`

  const seek = ['-ss', '37']
  const few = ['-frames:v', '25']
  const near = await frames(url, seek, few)
  const progress = torrent.progress
  assert.ok(progress < 1, 'the film was complete before ffmpeg had reached its end')
  t.diagnostic(`frames from near the end with ${Math.round(progress * 100)} % downloaded`)
  assert.equal(near, await frames(film, seek, few))
  assert.equal(await frames(url), await frames(film))
})
