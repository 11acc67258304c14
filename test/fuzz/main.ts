// npm run fuzz -- [--time 60] [--total 600] [--seed 1] [--resume] [--executions 10000] [--list] [--replay FILE] [target…]
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { execute } from './execution.ts'
import { Finding } from './finding.ts'
import { reproduce, Store } from './store.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'
import { inputOffset, type WorkerReport, type WorkerTask } from './worker-task.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    time: { type: 'string', default: '60' },
    total: { type: 'string' },
    seed: { type: 'string' },
    executions: { type: 'string', default: 'Infinity' },
    resume: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    replay: { type: 'string' }
  }
})

/** CPU seconds of this process without a new input after which the current input counts as endless. */
const hangSeconds = 20
const lookMs = 500
const sharedBytes = 4 << 20
const heapMiB = 512

const store = new Store()
const unknown = positionals.find((name) => targets.every((target) => target.name !== name))
if (unknown !== undefined) throw new Error(`there is no target '${unknown}'; --list names them`)
const chosen = targets.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
let failed = false

if (values.list) list(targets)
else if (values.replay !== undefined) await replay(chosen, values.replay)
else await fuzz()
process.exitCode = failed ? 1 : 0

function list(ones: readonly Target[]): void {
  for (const { name } of ones) {
    const { executions, seconds, outcomes, findings } = store.counts(name)
    console.log(
      `${name.padEnd(14)} ${String(executions).padStart(12)} executions ${seconds.toFixed(0).padStart(6)} s ${String(outcomes).padStart(6)} outcomes ${findings} findings`
    )
  }
}

async function replay(ones: readonly Target[], file: string): Promise<void> {
  const input = new Uint8Array(readFileSync(file))
  for (const target of ones) {
    try {
      const { shape, longestMs } = await execute(target, input)
      console.log(`${target.name}: ${shape} in ${longestMs.toFixed(1)} ms`)
    } catch (thrown) {
      failed = true
      console.log(`${target.name}: ${thrown instanceof Finding ? thrown.message : String(thrown)}`)
      if (thrown instanceof Finding && thrown.cause !== undefined) console.log(thrown.cause)
    }
  }
}

/** Runs each target for the time, or repeatedly for that time until each has run for the total. */
async function fuzz(): Promise<void> {
  const total = Number(values.total ?? Number.NaN)
  const time = Number(values.time)
  for (let round = 0; ; round++) {
    const due = chosen.filter(({ name }) =>
      Number.isNaN(total) ? round === 0 : left(name, total, round) > 0
    )
    if (due.length === 0) break
    for (const target of due) {
      const seconds = Number.isNaN(total) ? time : Math.min(time, left(target.name, total, round))
      await runTarget(target, seconds, round > 0)
    }
  }
  list(chosen)
}

function left(name: string, total: number, round: number): number {
  return total - (values.resume || round > 0 ? store.counts(name).seconds : 0)
}

async function runTarget(target: Target, seconds: number, goesOn: boolean): Promise<void> {
  const resume = values.resume || goesOn
  const before = resume ? store.counts(target.name) : { executions: 0, seconds: 0, outcomes: 0, findings: 0 }
  const shared = new SharedArrayBuffer(sharedBytes)
  // A resumed run makes other inputs than the earlier one.
  const seed = (Number(values.seed ?? 1) + before.executions) % 2 ** 32
  const task: WorkerTask = {
    name: target.name,
    seed,
    seconds,
    executions: Number(values.executions),
    resume,
    shared
  }
  let last: WorkerReport = { executions: 0, seconds: 0, outcomes: 0 }
  let findings = 0
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: heapMiB }
  })
  worker.on('message', (report: WorkerReport) => {
    last = report
    if (report.finding === undefined) return
    findings++
    failed = true
    const { message, file } = report.finding
    console.log(`${target.name}: ${message}\n  ${reproduce(target.name, file)}`)
  })
  const keep = (finding: Finding): void => {
    findings++
    failed = true
    const file = store.saveFinding(target.name, inputOf(shared), finding)
    console.log(`${target.name}: ${finding.message}\n  ${reproduce(target.name, file)}`)
  }
  const stopWatching = watch(shared, () => {
    keep(new Finding('hang', `an input takes more than ${hangSeconds} s of CPU`))
    void worker.terminate()
  })
  await new Promise<void>((resolve) => {
    worker.once('exit', () => resolve())
    worker.once('error', (cause) => {
      keep(new Finding('escape', `the thread ended: ${cause.message}`, { cause }))
      resolve()
    })
  })
  stopWatching()
  const counts = {
    executions: before.executions + last.executions,
    seconds: before.seconds + last.seconds,
    outcomes: last.outcomes,
    findings: before.findings + findings
  }
  store.saveCounts(target.name, counts)
  const rate = Math.round(last.executions / Math.max(last.seconds, 0.001))
  console.log(
    `${target.name}: ${last.executions} executions in ${last.seconds.toFixed(1)} s (${rate}/s), ${counts.outcomes} outcomes, ${findings} findings; ${counts.executions} in ${counts.seconds.toFixed(0)} s so far`
  )
}

/** Returns the input that a thread runs, or ran last. */
function inputOf(shared: SharedArrayBuffer): Uint8Array {
  const [length = 0] = new Int32Array(shared, 0, 1)
  return new Uint8Array(shared, inputOffset).slice(0, length)
}

/** Calls back once this process has used much CPU without a new input. */
function watch(shared: SharedArrayBuffer, onHang: () => void): () => void {
  const counter = new Int32Array(shared, 0, 2)
  let seen = -1
  let since = process.cpuUsage()
  const timer = setInterval(() => {
    const now = Atomics.load(counter, 1)
    const { user, system } = process.cpuUsage(since)
    if (now !== seen || seen === 0) {
      seen = now
      since = process.cpuUsage()
    } else if (user + system > hangSeconds * 1e6) {
      clearInterval(timer)
      onHang()
    }
  }, lookMs)
  return () => clearInterval(timer)
}
