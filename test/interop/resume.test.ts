// A download that is interrupted again and again ends with the same bytes, and fetches hardly any of them
// twice.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { until } from '../support/until.ts'
import { libtorrent, type SendingPeer } from './peers/libtorrent.ts'
import { startClient } from './peers/piecewise.ts'
import { freePort } from './peers/real-peer.ts'
import { commandPath, withoutNetwork } from './support/command.ts'
import { assertSameTree, temporaryFolder, writeRandomFile } from './support/data.ts'
import { libtorrentMaker } from './support/make-torrent.ts'
import { needs } from './support/need.ts'
import { loopback, type Running, start, within } from './support/process.ts'

const mebibyte = 1 << 20
const length = 48 * mebibyte + 12_345
const bytesPerSecond = 4 * mebibyte
const stops = 10

interface Stage {
  readonly seeder: SendingPeer
  readonly address: string
  readonly torrentPath: string
  readonly data: string
  readonly outFolder: string
  readonly folder: string
  /** Running programs, stopped after the test. */
  readonly programs: Running[]
}

/** Starts a slow seeder, so that the download takes several seconds. */
async function stage(t: TestContext): Promise<Stage> {
  const { folder, remove } = temporaryFolder('resume')
  const programs: Running[] = []
  t.after(async () => {
    await Promise.all(programs.map((program) => program.stop()))
    remove()
  })
  const data = path.join(folder, 'data', 'film.bin')
  const torrentPath = path.join(folder, 'film.torrent')
  const outFolder = path.join(folder, 'out')
  writeRandomFile(data, length, 'resume')
  libtorrentMaker.make(data, torrentPath, 18)
  mkdirSync(outFolder)
  const port = await freePort()
  const task = { torrentPath, dataFolder: path.dirname(data), workFolder: folder, place: loopback, port }
  const seeder = await libtorrent.seed({ ...task, uploadLimit: bytesPerSecond })
  programs.push(seeder)
  return { seeder, address: `127.0.0.1:${port}`, torrentPath, data, outFolder, folder, programs }
}

/** Returns a random delay within about the first second of a run. */
const moment = (): number => 200 + Math.random() * 1200
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const inMiB = (bytes: number): string => `${(bytes / mebibyte).toFixed(2)} MiB`

test(
  'kill -9 at ten moments loses little more than incomplete pieces',
  needs(libtorrent.needed, 120_000),
  async (t) => {
    const { seeder, address, torrentPath, data, outFolder, programs } = await stage(t)
    const task = { torrent: torrentPath, folder: outFolder, host: '127.0.0.1', port: 0, peers: [address] }
    const moments: number[] = []
    let before = 0
    for (let run = 0; run < stops; run++) {
      const client = startClient(`run ${run}`, loopback, task)
      programs.push(client)
      await until('the first report', () => client.report() !== undefined, {
        everyMs: 10,
        programs: [client]
      })
      const after = moment()
      moments.push(Math.round(after))
      await pause(after)
      client.signal('SIGKILL')
      await client.exited
    }
    before = await seeder.sent()
    const last = startClient('last run', loopback, task)
    programs.push(last)
    await within('the last run', last.done, { timeoutMs: 60_000, programs: [last] })
    assertSameTree(path.join(outFolder, path.basename(data)), data)
    const waste = (await seeder.sent()) - length
    t.diagnostic(
      `killed after ${moments.join(', ')} ms; ${inMiB(before)} sent until then, ${inMiB(waste)} more than once`
    )
    // Whole pieces are found on disk; the few partial ones and outstanding blocks are not.
    const bound = 1.5 * stops * mebibyte
    assert.ok(waste <= bound, `${inMiB(waste)} were sent more than once, at most ${inMiB(bound)} may be`)
    await last.stop()
  }
)

test(
  'a client that closes at ten moments fetches nothing again that it had received',
  needs(libtorrent.needed, 120_000),
  async (t) => {
    const { address, torrentPath, data, outFolder, programs } = await stage(t)
    const task = { torrent: torrentPath, folder: outFolder, host: '127.0.0.1', port: 0, peers: [address] }
    const moments: number[] = []
    let received = 0
    for (let run = 0; run < stops; run++) {
      const client = startClient(`run ${run}`, loopback, task)
      programs.push(client)
      await until('the first block', () => (client.report()?.received ?? 0) > 0, {
        everyMs: 10,
        programs: [client]
      })
      const after = moment()
      moments.push(Math.round(after))
      await pause(after)
      client.signal('SIGINT')
      await within('closing', client.exited, { timeoutMs: 10_000, programs: [client] })
      assert.equal(client.report()?.event, 'closed', client.log())
      received += client.report()?.received ?? 0
    }
    const last = startClient('last run', loopback, task)
    programs.push(last)
    await within('the last run', last.done, { timeoutMs: 60_000, programs: [last] })
    await last.stop()
    received += last.report()?.received ?? 0
    assertSameTree(path.join(outFolder, path.basename(data)), data)
    t.diagnostic(`closed after ${moments.join(', ')} ms; ${received - length} bytes received more than once`)
    // A block requested twice from the seeder in the end game is received twice, once in a run.
    assert.ok(
      received - length <= 16384 * (stops + 1),
      `${received - length} bytes were received more than once`
    )
  }
)

test(
  'Ctrl+C at ten moments: the command says so, exits with 130, and resumes',
  needs(libtorrent.needed, 120_000),
  async (t) => {
    const { seeder, address, torrentPath, data, outFolder, folder, programs } = await stage(t)
    const args = [
      'download',
      torrentPath,
      '--dir',
      outFolder,
      '--peer',
      address,
      '--no-dht',
      '--port',
      '0',
      '--json'
    ]
    const env = { XDG_STATE_HOME: path.join(folder, 'state') }
    const moments: number[] = []
    const go = (name: string) => {
      const report = { verified: 0 }
      const onLine = (line: string) => {
        if (line.includes('"event":"verified"')) report.verified++
      }
      const running = start(name, [process.execPath, ...withoutNetwork, commandPath, ...args], {
        env,
        onLine
      })
      programs.push(running)
      return { running, report }
    }
    for (let run = 0; run < stops; run++) {
      const { running, report } = go(`run ${run}`)
      await until('the first piece', () => report.verified > 0, { everyMs: 10, programs: [running] })
      const after = moment() / 2
      moments.push(Math.round(after))
      await pause(after)
      running.signal('SIGINT')
      assert.equal(
        await within('Ctrl+C', running.exited, { timeoutMs: 10_000, programs: [running] }),
        130,
        running.log()
      )
      assert.match(running.log(), /"event":"stopped"/)
      assert.doesNotMatch(running.log(), /^\s+at /m)
    }
    const before = await seeder.sent()
    const { running } = go('last run')
    assert.equal(
      await within('the last run', running.exited, { timeoutMs: 60_000, programs: [running] }),
      0,
      running.log()
    )
    assertSameTree(path.join(outFolder, path.basename(data)), data)
    const waste = (await seeder.sent()) - length
    t.diagnostic(
      `stopped after ${moments.join(', ')} ms; ${inMiB(before)} sent until then, ${inMiB(waste)} more than once`
    )
    // The seeder also counts bytes in transit when we left.
    assert.ok(waste <= stops * mebibyte, `${inMiB(waste)} were sent more than once`)
  }
)
