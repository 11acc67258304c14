import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { createTorrent } from '../lib/metainfo/create-torrent.ts'
import { Helper } from './helper.ts'
import { findLibtorrent } from './libtorrent.ts'
import { cpuSecondsOf } from './process-stat.ts'
import { writeSample } from './sample.ts'
import { scratchFolder } from './scratch.ts'
import type { JoinTask, Progress, SeedsTask } from './swarm-process.ts'

// Swarms of clients that download from one seed of limited upload and from each other, over loopback:
// `node dist/bench/swarm.js [name] [--peers all|seed|none] [--pex] [--lsd] [--slower n] [--times n]`.
//   bound         20 of this library: when all are complete, relative to the time in which the seed can send everything once
//   slow          the same, but no client uploads more than 1.5 times the rate of the seed
//   free-rider    19 of this library that upload 1 MB/s each, and one that uploads nothing: their download rates
//   mixed         10 of this library and 10 of libtorrent, all uploading 1 MB/s: their download rates
// Each gets the addresses of all others by default; `--peers` limits that, and --pex and --lsd let them find each other. --slower divides
// all rates, lengths and pieces by a power of two: the same swarm for a busy machine, where the clients would wait for the CPU.

const folder = scratchFolder()
const { positionals, values: chosen } = parseArgs({
  allowPositionals: true,
  options: {
    peers: { type: 'string', default: 'all' },
    pex: { type: 'boolean', default: false },
    lsd: { type: 'boolean', default: false },
    slower: { type: 'string', default: '1' },
    times: { type: 'string', default: '1' }
  }
})
const [only = ''] = positionals
const { pex, lsd } = chosen
const sources = { pex, lsd }
const slower = Number(chosen.slower)
const megabyte = 1_000_000 / slower
const mebibyte = 2 ** 20 / slower
const pieceLength = 131_072 / slower
const seedRate = 4 * megabyte

/** Leechers of libtorrent: prints their ports, waits for a line with the ports to dial, then prints the bytes received by each. */
const libtorrentLeechers = `
import json, sys, threading, time, libtorrent as lt
task = json.loads(sys.argv[1])
everyone = lt.ip_filter()
keep = []
for n in range(task['count']):
  session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
    'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'alert_mask': 0, 'ssrf_mitigation': False,
    'allow_multiple_connections_per_ip': True, 'connection_speed': 200, 'close_redundant_connections': True,
    'upload_rate_limit': task['uploadLimit']})
  session.set_peer_class_filter(everyone)
  params = lt.add_torrent_params()
  params.ti = lt.torrent_info(task['torrent'])
  params.save_path = task['folder'] + '/lt' + str(n)
  params.flags &= ~lt.torrent_flags.auto_managed
  params.flags |= lt.torrent_flags.paused
  keep.append((session, session.add_torrent(params)))
while not all(session.listen_port() for session, handle in keep): time.sleep(0.02)
time.sleep(0.5)
print(json.dumps([session.listen_port() for session, handle in keep]), flush=True)
ports = json.loads(sys.stdin.readline())
began = time.time()
done = [None] * len(keep)
for session, handle in keep:
  handle.resume()
  for port in ports:
    if port != session.listen_port(): handle.connect_peer(('127.0.0.1', port))
while True:
  progress = []
  for n, (session, handle) in enumerate(keep):
    status = handle.status()
    if done[n] is None and status.is_seeding: done[n] = (time.time() - began) * 1000
    progress.append({'received': status.total_payload_download, 'uploaded': status.total_payload_upload, 'doneMs': done[n]})
  print(json.dumps(progress), flush=True)
  time.sleep(0.1)
`

interface Swarm {
  readonly name: string
  readonly mebibytes: number
  /** Upload limits of our clients; null for none. */
  readonly ours: readonly (number | null)[]
  readonly libtorrents: number
  /** Seconds after which the run ends before all are done. */
  readonly seconds: number
}

const swarms: Swarm[] = [
  { name: 'bound', mebibytes: 32, ours: Array(20).fill(null), libtorrents: 0, seconds: 120 },
  { name: 'slow', mebibytes: 32, ours: Array(20).fill(1.5 * seedRate), libtorrents: 0, seconds: 120 },
  { name: 'free-rider', mebibytes: 64, ours: [...Array(19).fill(megabyte), 0], libtorrents: 0, seconds: 45 },
  { name: 'mixed', mebibytes: 48, ours: Array(10).fill(megabyte), libtorrents: 10, seconds: 40 }
]

class Libtorrents {
  latest: Progress[] = []
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(python: string, task: object) {
    this.#child = spawn(python, ['-c', libtorrentLeechers, JSON.stringify(task)], {
      stdio: ['pipe', 'pipe', 'inherit']
    })
    const { stdout } = this.#child
    if (stdout === null) throw new Error('no output')
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
  }

  async ports(): Promise<number[]> {
    return JSON.parse((await this.#lines.next()).value)
  }

  begin(ports: readonly number[]): void {
    this.#child.stdin?.write(`${JSON.stringify(ports)}\n`)
    void (async () => {
      for (let line = await this.#lines.next(); !line.done; line = await this.#lines.next()) {
        this.latest = JSON.parse(line.value)
      }
    })()
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exited
  }
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** Returns the seconds of all CPUs so far. */
function cpuSeconds(): { busy: number; all: number } {
  let [idle, all] = [0, 0]
  for (const { times } of cpus()) {
    idle += times.idle / 1000
    all += (times.user + times.nice + times.sys + times.irq + times.idle) / 1000
  }
  return { busy: all - idle, all }
}

async function run({ name, mebibytes, ours, libtorrents, seconds }: Swarm): Promise<void> {
  const python = libtorrents > 0 ? findLibtorrent() : undefined
  if (libtorrents > 0 && python === undefined) {
    console.log(`${name}: needs the Python binding of libtorrent`)
    return
  }
  const file = path.join(folder, `${name}.bin`)
  const torrent = `${file}.torrent`
  writeSample(file, mebibytes * mebibyte)
  writeFileSync(torrent, await createTorrent(file, { pieceLength, creationDate: false }))
  const seed = new Helper('swarm-process')
  // Two processes for all, because a small machine has two cores.
  const helpers = [new Helper('swarm-process'), new Helper('swarm-process')]
  const others =
    python === undefined
      ? undefined
      : new Libtorrents(python, { torrent, folder, count: libtorrents, uploadLimit: megabyte })
  try {
    const task: SeedsTask = { files: [file], pieceLength, clients: 1, uploadLimit: seedRate, sources }
    const ports = await seed.call<number[]>('seed', task)
    const half = Math.ceil(ours.length / 2)
    for (const [n, helper] of helpers.entries()) {
      const join: JoinTask = { torrent, uploadLimits: ours.slice(n * half, (n + 1) * half), sources }
      ports.push(...(await helper.call<number[]>('join', join)))
    }
    if (others !== undefined) ports.push(...(await others.ports()))
    const told = chosen.peers === 'all' ? ports : ports.slice(0, chosen.peers === 'seed' ? 1 : 0)
    const peers = told.map((port) => `127.0.0.1:${port}`)
    others?.begin(ports)
    await Promise.all(helpers.map((helper) => helper.call('begin', peers)))
    const cpuBefore = cpuSeconds()
    const ownBefore = mean(helpers.map(({ pid }) => cpuSecondsOf(pid))) * helpers.length
    let progress: Progress[] = []
    for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
      await sleep(200)
      progress = (await Promise.all(helpers.map((helper) => helper.call<Progress[]>('progress')))).flat()
      const all = [...progress, ...(others?.latest ?? [])]
      const givers = all.filter((_, n) => ours[n] !== 0)
      if (givers.some(({ doneMs }) => doneMs !== null) && ours.includes(0)) break
      if (givers.every(({ doneMs }) => doneMs !== null)) break
    }
    const own = mean(helpers.map(({ pid }) => cpuSecondsOf(pid))) * helpers.length - ownBefore
    const cpu = cpuSeconds()
    const length = mebibytes * mebibyte
    const bound = length / seedRate
    const [source] = await seed.call<Progress[]>('progress')
    const done = (list: readonly Progress[]): string => {
      const times = list.map(({ doneMs }) => (doneMs ?? Number.POSITIVE_INFINITY) / 1000)
      return `first ${Math.min(...times).toFixed(1)} s, mean ${mean(times).toFixed(1)} s, last ${Math.max(...times).toFixed(1)} s`
    }
    const fair = progress.filter((_, n) => ours[n] !== 0)
    console.log(
      `${name}: seed ${seedRate / 1e6} MB/s, ${mebibytes / slower} MiB, at best ${bound.toFixed(1)} s; the seed sent ${((source?.uploaded ?? 0) / length).toFixed(2)} times the data`
    )
    if (ours.includes(0)) {
      const rider = progress[ours.indexOf(0)]?.received ?? 0
      const each = mean(fair.map(({ received }) => received))
      console.log(
        `  a free rider got ${(rider / each).toFixed(2)} of what each of the others got (${(each / 1e6).toFixed(1)} MB) when the first was done`
      )
    } else {
      console.log(
        `  ours: ${done(fair)}; ${(Math.max(...fair.map(({ doneMs }) => doneMs ?? Infinity)) / 1000 / bound).toFixed(2)} times the bound`
      )
    }
    console.log(
      `  the leechers took ${own.toFixed(1)} s of CPU, everybody ${(cpu.busy - cpuBefore.busy).toFixed(1)} of ${(cpu.all - cpuBefore.all).toFixed(1)} s`
    )
    const most = (of: (one: Progress) => number): number => Math.max(...progress.map(of))
    console.log(
      `  first piece after ${mean(fair.map(({ firstPieceMs }) => (firstPieceMs ?? Infinity) / 1000)).toFixed(2)} s on average, at last ${(most(({ firstPieceMs }) => firstPieceMs ?? Infinity) / 1000).toFixed(2)} s; each made ${mean(progress.map(({ made }) => made)).toFixed(1)} connections, ${mean(progress.map(({ connected }) => connected)).toFixed(1)} stand; received ${mean(fair.map(({ received }) => received / length)).toFixed(3)} times the data`
    )
    if (others !== undefined) console.log(`  libtorrent: ${done(others.latest)}`)
  } finally {
    await Promise.all(
      [seed, ...helpers, ...(others === undefined ? [] : [others])].map((helper) => helper.stop())
    )
  }
}

for (const swarm of swarms) {
  if (!swarm.name.includes(only)) continue
  for (let time = 0; time < Number(chosen.times); time++) await run(swarm)
}
