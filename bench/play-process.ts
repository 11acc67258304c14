// One engine plays a file: node play-process.js '<PlayTask as JSON>'; prints a PlayReport as JSON.
import { type EngineTask, engines } from './play-engines.ts'
import { type PartReport, Player } from './player.ts'
import { Comparer } from './sample.ts'

/** What the process is told. */
export interface PlayTask extends EngineTask {
  readonly engine: string
  /** What all bytes are compared with. */
  readonly original: string
  readonly bytesPerSecond: number
  /** How long each part is played. */
  readonly seconds: number
  /** Where the second part begins, as a part of the length. */
  readonly seekTo: number
}

/** What came of it. */
export interface PlayReport {
  /** Left out where nothing was played. */
  readonly start?: PartReport | undefined
  readonly seek?: PartReport | undefined
  /** From adding the torrent until all of it was there, if that was waited for. */
  readonly wholeMs?: number | undefined
  /** Of the whole process. */
  readonly cpuSeconds: number
  readonly comparedBytes: number
  readonly wrongChunks: number
}

async function run(task: PlayTask): Promise<PlayReport> {
  const { engine, original, bytesPerSecond, seconds, seekTo } = task
  const load = engines[engine]
  if (load === undefined) throw new Error(`there is no engine '${engine}'`)
  const add = await load(task)
  const comparer = new Comparer(original)
  const player = new Player(bytesPerSecond, comparer)

  const began = performance.now()
  const file = await add()
  const whole = engine === 'piecewise-whole' || engine === 'piecewise-alone' ? file.whole?.() : undefined
  const wholeMs = whole?.then(() => Math.round(performance.now() - began))
  if (engine === 'piecewise-alone') {
    await whole
    return { wholeMs: await wholeMs, cpuSeconds: cpuSeconds(), comparedBytes: 0, wrongChunks: 0 }
  }
  const stream = file.open(0)
  player.jump(0, began, stream)
  const start = await player.play(seconds)

  const offset = Math.floor(file.length * seekTo)
  const clicked = performance.now()
  if (engine === 'piecewise-seek' && stream.seek !== undefined) {
    stream.seek(offset)
    player.jump(offset, clicked)
  } else {
    player.stop()
    stream.close()
    player.jump(offset, clicked, file.open(offset))
  }
  const seek = await player.play(seconds)
  // The viewer watches on, but what is felt from here on is not of this report.
  if (whole !== undefined) await Promise.race([whole, player.play(600)])
  player.stop()
  const { comparedBytes, wrongChunks } = comparer
  return { start, seek, wholeMs: await wholeMs, cpuSeconds: cpuSeconds(), comparedBytes, wrongChunks }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const report = await run(JSON.parse(process.argv[2] ?? '{}') as PlayTask)
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
