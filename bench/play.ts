// Plays a file like a video player, from eight seeders behind slow, delayed links, with one engine after another.
//   npm run bench:play -- --install-rivals     installs webtorrent and torrent-stream into the cache folder, once
//   npm run bench:play                         all installed engines
//   npm run bench:play -- --harsh --engines floor,piecewise --rounds 3 --rate 2e6 --seconds 15
//   npm run bench:play -- --engines piecewise-alone,piecewise-whole     the cost of playing for the whole download
//   npm run bench:play -- --swarm '[{"rate":1e6,"delayMs":20},{"rate":1e6,"delayMs":20,"silentAfter":2e6}]'
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { createTorrent } from '../lib/metainfo/create-torrent.ts'
import { startFixedTracker } from './fixed-tracker.ts'
import { findLibtorrent, libtorrentPlayer } from './libtorrent.ts'
import type { FloorTask } from './play-floor.ts'
import type { PlayReport, PlayTask } from './play-process.ts'
import { startSeeders } from './play-seeders.ts'
import { harshSwarm, isHonest, mixedSwarm, parseSwarm } from './play-swarm.ts'
import { playTable } from './play-table.ts'
import { defaultCache, installRivals, nodeFor } from './rivals.ts'
import { writeSample } from './sample.ts'
import { scratchFolder } from './scratch.ts'
import { ShapedLink } from './shaped-link.ts'

const run = promisify(execFile)
const seekTo = 0.7
const compared = ['floor', 'piecewise', 'piecewise-seek', 'webtorrent', 'torrent-stream', 'libtorrent']
const allEngines = [...compared, 'piecewise-whole', 'piecewise-alone']

const { values: options } = parseArgs({
  options: {
    'install-rivals': { type: 'boolean', default: false },
    cache: { type: 'string', default: defaultCache() },
    engines: { type: 'string', default: compared.join(',') },
    folder: { type: 'string' },
    harsh: { type: 'boolean', default: false },
    rate: { type: 'string', default: '2e6' },
    rounds: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '15' },
    seeders: { type: 'string', default: 'libtorrent' },
    size: { type: 'string', default: '384' },
    swarm: { type: 'string' }
  }
})

if (options['install-rivals']) {
  installRivals(options.cache)
  process.exit(0)
}

const bytesPerSecond = positive('rate')
const seconds = positive('seconds')
const rounds = positive('rounds')
const python = findLibtorrent()
const seedersPython = options.seeders === 'libtorrent' ? python : undefined
const mild = options.harsh ? harshSwarm(bytesPerSecond) : mixedSwarm
const swarm = options.swarm === undefined ? mild : parseSwarm(options.swarm)
const engines = options.engines.split(',').filter(isThere)

const root = scratchFolder(options.folder)
const folder = path.join(root, 'out')
const original = path.join(root, 'data', 'film.mp4')
const torrent = path.join(root, 'film.torrent')
mkdirSync(path.dirname(original))
writeSample(original, positive('size') * 2 ** 20)
const tracker = await startFixedTracker()
writeFileSync(torrent, await createTorrent(original, { trackers: [tracker.url], pieceLength: 2 ** 20 }))

console.error(
  `Seeders: ${seedersPython === undefined ? 'piecewise' : 'libtorrent'}. ${JSON.stringify(swarm)}`
)
const reports = new Map<string, PlayReport[]>(engines.map((engine) => [engine, []]))
for (let round = 0; round < rounds; round++) {
  for (const engine of engines) {
    try {
      const report = await play(engine)
      reports.get(engine)?.push(report)
      console.error(JSON.stringify({ engine, ...report }))
    } catch (thrown) {
      console.error(`${engine} failed: ${thrown instanceof Error ? thrown.message : thrown}`)
      process.exitCode = 1
    }
  }
}
const wrong = [...reports.values()].flat().some(({ wrongChunks }) => wrongChunks > 0)
if (wrong) process.exitCode = 1
console.log(playTable(reports))
await tracker.close()
process.exit()

/** Runs an engine once, with seeders and links of its own. */
async function play(engine: string): Promise<PlayReport> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const seeders = await startSeeders(swarm, torrent, original, seedersPython)
  const links = await Promise.all(
    swarm.map((spec, n) => ShapedLink.open(spec, seeders.ports[n] ?? 0).then((link) => ({ link, spec })))
  )
  try {
    tracker.ports = links.map(({ link }) => link.port)
    const [program, args] = commandOf(
      engine,
      links.map(({ link, spec }) => ({ ...spec, port: link.port }))
    )
    const running = run(program, args, { timeout: (2 * seconds + 300) * 1000, killSignal: 'SIGKILL' })
    const end = (): boolean => running.child.kill('SIGKILL')
    process.once('exit', end)
    const { stdout, stderr } = await running.finally(() => process.off('exit', end))
    if (stderr !== '') console.error(`${engine}: ${stderr.trim().slice(-500)}`)
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } finally {
    await Promise.all(links.map(({ link }) => link.close()))
    await seeders.stop()
  }
}

function commandOf(
  engine: string,
  links: readonly (FloorTask['links'][number] & { silentAfter?: number; corrupt?: boolean })[]
): [program: string, args: string[]] {
  const { cache } = options
  const task: PlayTask = { engine, torrent, folder, cache, original, bytesPerSecond, seconds, seekTo }
  if (engine === 'libtorrent') {
    const ports = links.map(({ port }) => port)
    return [python ?? '', ['-c', libtorrentPlayer, JSON.stringify({ ...task, ports })]]
  }
  const node = nodeFor(engine, cache) ?? ''
  if (engine !== 'floor') return [node, [scriptOf('play-process'), JSON.stringify(task)]]
  const floor: FloorTask = { torrent, original, seekTo, links: links.filter(isHonest) }
  return [node, [scriptOf('play-floor'), JSON.stringify(floor)]]
}

function scriptOf(name: string): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}

function isThere(engine: string): boolean {
  if (!allEngines.includes(engine)) {
    console.error(`There is no engine '${engine}'. There are: ${allEngines.join(', ')}`)
    process.exit(2)
  }
  const there = engine === 'libtorrent' ? python !== undefined : nodeFor(engine, options.cache) !== undefined
  if (!there) console.error(`${engine} is not installed and is left out`)
  return there
}

function positive(name: 'rate' | 'seconds' | 'rounds' | 'size'): number {
  const value = Number(options[name])
  if (value > 0) return value
  console.error(`--${name} must be a number above 0, not '${options[name]}'`)
  process.exit(2)
}
