import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { toHex } from '../lib/util/bytes.ts'
import type { CheckReport, CheckTask } from './check-process.ts'
import type { CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import type { LeechReport, LeechTask } from './leecher-process.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import { descriptorsOf } from './process-stat.ts'
import type { ScaleBenchmark, ScaleTask } from './rounds.ts'

const blockLength = 16_384
const peerCount = 4

/** A torrent, and the steps to measure with it. */
interface Subject {
  readonly label: string
  readonly pieceLength: number
  /** Undefined for one file without a folder. */
  readonly fileLengths?: readonly number[]
  readonly length: number
  /** Whether all bytes are zero, so that its files can be sparse. */
  readonly zeros: boolean
  /** Whether to add and check it as well. */
  readonly check: boolean
  /** Files to download; default all. */
  readonly select?: readonly number[]
}

/** A large torrent and a small one with the same number of bytes or pieces. */
interface Pair {
  readonly large: Subject
  readonly small: Subject
}

function pairs(mebibytes: number | undefined): Pair[] {
  const pieceCount = mebibytes === undefined ? 100_000 : Math.ceil((mebibytes * 64) / 100) * 100
  // Divisible by ten, so that ten files have the same bytes.
  const fileCount = Math.ceil((mebibytes ?? 20_000) / 10) * 10
  const one = { length: pieceCount * blockLength, zeros: false, check: true }
  return [
    {
      large: { ...one, label: `${pieceCount} pieces of 16 KiB`, pieceLength: blockLength },
      small: { ...one, label: `${pieceCount / 100} pieces of 1600 KiB`, pieceLength: 100 * blockLength }
    },
    piecePair(pieceCount, 16 * blockLength),
    // A little longer than a piece, so that nearly every piece spans two files.
    filePair(fileCount, (1 << 20) + 1234, Math.max(1, Math.floor(fileCount / 10))),
    filePair(fileCount, 1 << 16, undefined)
  ]
}

/** Returns a torrent of many pieces in sixteen files, of which one is downloaded, and a torrent of only that file. */
function piecePair(pieceCount: number, pieceLength: number): Pair {
  const pieces = Math.ceil(pieceCount / 16)
  const fileLength = pieces * pieceLength
  const both = { pieceLength, zeros: true, check: true, select: [0] }
  const label = (count: number): string => `${count} pieces of ${pieceLength / 1024} KiB`
  const files = (count: number): Pick<Subject, 'fileLengths' | 'length'> => ({
    fileLengths: Array.from({ length: count }, () => fileLength),
    length: count * fileLength
  })
  return {
    large: { ...both, ...files(16), label: label(16 * pieces) },
    small: { ...both, ...files(1), label: label(pieces) }
  }
}

/**
 * Returns a torrent of many files, and one of ten files with the same bytes. If the files are large, downloads
 * only as many of them as make up one of the ten.
 */
function filePair(count: number, fileLength: number, downloaded: number | undefined): Pair {
  const length = count * fileLength
  const both = { pieceLength: 1 << 20, length, zeros: true, check: downloaded !== undefined }
  const kibibytes = Math.floor(fileLength / 1024)
  return {
    large: {
      ...both,
      label: `${count} files of ${kibibytes} KiB`,
      fileLengths: Array.from({ length: count }, () => fileLength),
      ...(downloaded === undefined ? {} : { select: Array.from({ length: downloaded }, (_, n) => n) })
    },
    small: {
      ...both,
      label: `10 files of ${kibibytes * (count / 10)} KiB`,
      fileLengths: Array.from({ length: 10 }, () => length / 10),
      ...(downloaded === undefined ? {} : { select: [0] })
    }
  }
}

/** Measures the most files that a process had open. */
class DescriptorWatch {
  all = 0
  below = 0
  readonly #timer: NodeJS.Timeout

  constructor(pid: number, folder: string) {
    this.#timer = setInterval(() => {
      try {
        const { all, below } = descriptorsOf(pid, folder)
        this.all = Math.max(this.all, all)
        this.below = Math.max(this.below, below)
      } catch {
        // The process has ended.
      }
    }, 10)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

type Add = (what: string, value: number, unit: string) => void

/** Calls one function in a new process, and reports its open files. */
async function watched<T>(script: string, call: string, task: { folder: string }, add: Add): Promise<T> {
  const helper = new Helper(script)
  // Modules are files too, and many are loaded at the same time.
  await helper.call('loaded')
  const watch = new DescriptorWatch(helper.pid, task.folder)
  try {
    return await helper.call<T>(call, task)
  } finally {
    watch.stop()
    add('open files at most', watch.below, '')
    add('open descriptors at most', watch.all, '')
    await helper.stop()
  }
}

async function addAndCheck(subject: Subject, torrent: string, folder: string, add: Add): Promise<void> {
  const task: CheckTask = { torrent, folder, verify: true }
  const run = async (what: string, changes: Partial<CheckTask>): Promise<void> => {
    const ofPhase: Add = (name, value, unit) => add(`${what}, ${name}`, value, unit)
    const report = await watched<CheckReport>('check-process', 'check', { ...task, ...changes }, ofPhase)
    ofPhase('time', changes.addOnly === true ? report.addMs : report.doneMs, 'ms')
    if (what === 'check') ofPhase('time a block', (report.doneMs * 1000 * blockLength) / subject.length, 'µs')
    ofPhase('CPU', report.cpuSeconds * 1000, 'ms')
    ofPhase('peak RSS', report.peakRssBytes / 1e6, 'MB')
    ofPhase('event loop held at most', report.heldMs, 'ms')
    ofPhase('event loop held at most, but for the machine', report.ownHeldMs ?? Number.NaN, 'ms')
  }
  await run('add', { addOnly: true })
  rmSync(folder, { recursive: true, force: true })
  writeData(subject, path.join(folder, nameOf(subject)))
  await run('check', {})
  await run('resume', { verify: false })
  rmSync(folder, { recursive: true, force: true })
}

function nameOf({ fileLengths }: Subject): string {
  return fileLengths === undefined ? 'many.bin' : 'many'
}

function writeData(subject: Subject, target: string): void {
  mkdirSync(path.dirname(target), { recursive: true })
  const { fileLengths } = subject
  if (fileLengths === undefined) new Pattern(subject).write(target)
  else {
    for (const [n, length] of fileLengths.entries()) {
      const folder = path.join(target, `${n % 100}`)
      if (n < 100) mkdirSync(folder, { recursive: true })
      const handle = openSync(path.join(folder, `${n}.bin`), 'w')
      ftruncateSync(handle, length)
      closeSync(handle)
    }
  }
}

async function download(
  subject: Subject,
  torrent: string,
  infoHash: string,
  folder: string,
  add: Add
): Promise<void> {
  const { pieceLength, length, zeros, select, fileLengths } = subject
  const source = new Helper('crowd-process')
  try {
    const peers = Array.from({ length: peerCount }, () => ({ bytesPerSecond: null, part: 1 }))
    const crowd: CrowdTask = { pieceLength, length, zeros, infoHash, peers }
    const ports = await source.call<number[]>('start', crowd)
    const addresses = ports.map((port) => `127.0.0.1:${port}`)
    const task: LeechTask = { torrent, folder, peers: addresses, watch: true, ...(select && { select }) }
    const report = await watched<LeechReport>('leecher-process', 'download', task, (what, value, unit) =>
      add(`download, ${what}`, value, unit)
    )
    const bytes = select === undefined ? length : select.reduce((sum, n) => sum + (fileLengths?.[n] ?? 0), 0)
    const blocks = bytes / blockLength
    add('download, time a block', (report.wallSeconds * 1e6) / blocks, 'µs')
    add('download, CPU a block', (report.cpuSeconds * 1e6) / blocks, 'µs')
    add('download, peak RSS', report.peakRssBytes / 1e6, 'MB')
    add('download, event loop held at most', report.heldMs ?? Number.NaN, 'ms')
    add('download, event loop held at most, but for the machine', report.ownHeldMs ?? Number.NaN, 'ms')
    const pattern = new Pattern(subject)
    const target = path.join(folder, nameOf(subject))
    if (fileLengths === undefined) pattern.require(target)
    else
      for (const n of select ?? fileLengths.keys())
        pattern.require(path.join(target, `${n % 100}/${n}.bin`), fileLengths[n])
  } finally {
    await source.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Torrents of many pieces and of many files, next to small ones of the same bytes: the cost of adding, checking and downloading. */
export const manyPieces: ScaleBenchmark = {
  name: 'many-pieces',
  async run({ folder, rounds, mebibytes, rounded }: ScaleTask): Promise<void> {
    const all = pairs(mebibytes)
    for (let round = 0; round < rounds; round++) {
      for (const { large, small } of all) {
        for (const subject of [small, large]) {
          const add: Add = (what, value, unit) => rounded.add(`${subject.label}, ${what}`, value, unit)
          const { bytes, metainfo } = new Pattern(subject).torrent(nameOf(subject), subject.fileLengths)
          const torrent = path.join(folder, 'many.torrent')
          writeFileSync(torrent, bytes)
          const data = path.join(folder, 'data')
          if (subject.check) await addAndCheck(subject, torrent, data, add)
          await download(subject, torrent, toHex(infoHashOf(metainfo)), data, add)
        }
      }
    }
    for (const { large, small } of all) {
      const ratio = (what: string, limit: string): void =>
        rounded.ratio(`${large.label}, ${what}`, `${large.label}, ${what}`, `${small.label}, ${what}`, limit)
      if (large.check) {
        for (const what of ['add, time', 'resume, time']) ratio(what, '')
        for (const what of ['check, time a block', 'check, peak RSS']) ratio(what, 'at most 1.3')
      }
      for (const what of ['time a block', 'CPU a block', 'peak RSS'])
        ratio(`download, ${what}`, 'at most 1.3')
    }
  }
}
