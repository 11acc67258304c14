// Measures the longest turn of the event loop while large and many torrents are handled: a line of JSON for each step, then a table.
//   npm run bench:turns [-- --rounds 3] [--culprits] [--size 1] [handle check download fail many]
// With --culprits it names the functions of the longest turn, which makes turns longer. --size is a fraction of the usual size.
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'
import { toHex } from '../lib/util/bytes.ts'
import { median } from './benchmark.ts'
import type { CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import { scratchFolder } from './scratch.ts'
import type { TurnReport } from './turn-watch.ts'
import type { ManyTask, Steps, TurnsTask } from './turns-process.ts'

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '3' },
    size: { type: 'string', default: '1' },
    folder: { type: 'string' },
    culprits: { type: 'boolean', default: false }
  }
})
const rounds = Number(options.rounds)
const { culprits } = options
const pieceLength = 16_384
const fileCount = Math.round(20_000 * Number(options.size))
const pieceCount = 5 * fileCount
const fileLength = (pieceLength * pieceCount) / fileCount
const fileLengths = Array.from({ length: fileCount }, () => fileLength)
const largePiece = 64 << 20

const root = scratchFolder(options.folder, 3 * 2 ** 30)
const pattern = new Pattern({ pieceLength, length: pieceLength * pieceCount, zeros: true })
const large = pattern.torrent('many', fileLengths)
const torrent = path.join(root, 'large.torrent')
writeFileSync(torrent, large.bytes)
const reports = new Map<string, TurnReport[]>()

const parts: Readonly<Record<string, () => Promise<void>>> = {
  async handle() {
    const folder = empty('handle')
    await call('handle', 'handle', { torrent, folder, state: empty('handle-state'), culprits })
  },
  async check() {
    const folder = empty('check')
    for (const [n, length] of fileLengths.entries()) {
      if (n < 100) mkdirSync(path.join(folder, 'many', `${n}`), { recursive: true })
      const handle = openSync(path.join(folder, 'many', `${n % 100}/${n}.bin`), 'w')
      ftruncateSync(handle, length)
      closeSync(handle)
    }
    const state = empty('check-state')
    await call('check', 'complete', { torrent, folder, state, culprits })
    await call('resume', 'complete', { torrent, folder, state, culprits })
  },
  async download() {
    const crowd = { ...pattern, zeros: true, infoHash: toHex(infoHashOf(large.metainfo)) }
    const select = fileLengths.flatMap((_, n) => (n % 10 === 0 ? [n] : []))
    await withPeers(crowd, async (peers) => {
      const task = {
        torrent,
        folder: empty('download'),
        state: empty('download-state'),
        peers,
        select,
        culprits
      }
      await call('download of a tenth', 'complete', task)
    })
  },
  async fail() {
    const wrong = new Pattern({ pieceLength: largePiece, length: largePiece, zeros: true })
    const { bytes } = wrong.torrent('wrong.bin')
    // The last byte of the only hash, before the ends of two dictionaries.
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1
    const file = path.join(root, 'wrong.torrent')
    writeFileSync(file, bytes)
    const crowd = { ...wrong, zeros: true, infoHash: toHex(infoHashOf(parseTorrent(bytes))) }
    await withPeers(crowd, async (peers) => {
      await call('64 MiB', 'fail', { torrent: file, folder: empty('fail'), peers, culprits })
    })
  },
  async many() {
    const count = Math.round(1000 * Number(options.size))
    const task: ManyTask = { count, folder: empty('many'), state: empty('many-state'), culprits }
    await call(`${count} torrents`, 'many', task)
  }
}

for (const name of names) {
  if (parts[name] === undefined)
    throw new Error(`There is no '${name}'. There are: ${Object.keys(parts).join(', ')}`)
}
for (let round = 0; round < rounds; round++) {
  for (const [name, run] of Object.entries(parts)) if (names.length === 0 || names.includes(name)) await run()
}
console.log(`\nNode ${process.version}, ${fileCount} files, ${pieceCount} pieces, medians of ${rounds}\n`)
console.log(
  '| step | longest turn, ms | of it garbage, ms | turns over 20 ms | all, ms |\n|---|---:|---:|---:|---:|'
)
for (const [name, all] of reports) {
  const middle = (of: (report: TurnReport) => number): number => median(all.map(of))
  const cells = [middle(({ ownMs }) => ownMs), middle(({ gcMs }) => gcMs)].map((value) => value.toFixed(1))
  cells.push(middle(({ over }) => over).toFixed(0), middle(({ allMs }) => allMs).toFixed(0))
  console.log(`| ${name} | ${cells.join(' | ')} |`)
}
process.exit(0)

function empty(name: string): string {
  const folder = path.join(root, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  return folder
}

async function call(label: string, method: string, task: TurnsTask | ManyTask): Promise<void> {
  const helper = new Helper('turns-process')
  try {
    for (const [step, report] of Object.entries(await helper.call<Steps>(method, task))) {
      const name = `${label}: ${step}`
      console.log(JSON.stringify({ benchmark: 'turns', name, ...report }))
      reports.set(name, [...(reports.get(name) ?? []), report])
    }
  } finally {
    await helper.stop()
  }
}

async function withPeers(
  crowd: Omit<CrowdTask, 'peers'>,
  task: (peers: readonly string[]) => Promise<void>
): Promise<void> {
  const source = new Helper('crowd-process')
  try {
    const peers = Array.from({ length: 4 }, () => ({ bytesPerSecond: null, part: 1 }))
    const ports = await source.call<number[]>('start', { ...crowd, peers })
    await task(ports.map((port) => `127.0.0.1:${port}`))
  } finally {
    await source.stop()
  }
}
