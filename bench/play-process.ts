// One engine plays a file: node play-process.js '<PlayTask as JSON>'; prints a PlayReport as JSON.
import { type EngineTask, engines } from './play-engines.ts'
import { type PartReport, Player } from './player.ts'
import { Comparer } from './sample.ts'

/** The engine and the film. */
export interface PlayTask extends EngineTask {
  readonly engine: string
  /** File to compare all bytes with. */
  readonly original: string
  readonly bytesPerSecond: number
  /** How long to play each part. */
  readonly seconds: number
  /** Start of the second part, as a fraction of the length. */
  readonly seekTo: number
}

/** Result of playing. */
export interface PlayReport {
  /** Undefined if nothing was played. */
  readonly start?: PartReport | undefined
  readonly seek?: PartReport | undefined
  /** From adding the torrent until it was complete, if that was measured. */
  readonly wholeMs?: number | undefined
  /** CPU of the whole process. */
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
  // The viewer continues to watch, but waits from here on are not reported.
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
