// Runs one target in a thread of its own, so that an input which hangs or exhausts memory is known and ends
// that thread alone.
import { parentPort, workerData } from 'node:worker_threads'
import type { Finding } from './finding.ts'
import { Fuzzer } from './fuzzer.ts'
import { minimise } from './minimise.ts'
import { committedCorpus, Store } from './store.ts'
import { targets } from './targets.ts'
import { inputOffset, type WorkerReport, type WorkerTask } from './worker-task.ts'

/** Milliseconds for minimising a finding. */
const minimiseMs = 20_000
const windowMs = 5_000
const batch = 64

async function work(task: WorkerTask): Promise<void> {
  const target = targets.find(({ name }) => name === task.name)
  if (target === undefined || parentPort === null) return
  const store = new Store()
  const length = new Int32Array(task.shared, 0, 2)
  const memory = new Uint8Array(task.shared, inputOffset)
  const corpus = [...committedCorpus(target), ...(task.resume ? store.corpus(target.name) : [])]
  const onInput = (input: Uint8Array): void => {
    memory.set(input.subarray(0, memory.length))
    Atomics.store(length, 0, input.length)
    Atomics.add(length, 1, 1)
  }
  const fuzzer = new Fuzzer({ target, seed: task.seed, corpus, onInput })
  const known = new Set<string>()
  let seconds = 0
  const report = (finding?: WorkerReport['finding']): void => {
    const { executions, outcomes } = fuzzer
    parentPort?.postMessage({
      executions,
      seconds,
      outcomes,
      ...(finding && { finding })
    } satisfies WorkerReport)
  }
  const found = async (input: Uint8Array, finding: Finding): Promise<void> => {
    if (known.has(finding.key)) return
    known.add(finding.key)
    const small =
      finding.kind === 'growth'
        ? input
        : await minimise({ target, finding, timeMs: minimiseMs, onInput }, input)
    report({ message: finding.message, file: store.saveFinding(target.name, small, finding) })
  }
  for await (const [input, finding] of fuzzer.begin()) await found(input, finding)
  const first = fuzzer.executions
  let windowAt = performance.now()
  while (seconds < task.seconds && fuzzer.executions - first < task.executions) {
    const before = process.cpuUsage()
    const broken: [Uint8Array, Finding][] = []
    for (let n = 0; n < batch && fuzzer.executions - first < task.executions; n++) {
      const result = await fuzzer.next()
      if (result !== undefined) broken.push(result)
    }
    const { user, system } = process.cpuUsage(before)
    seconds += (user + system) / 1e6
    for (const [input, finding] of broken) await found(input, finding)
    if (performance.now() - windowAt < windowMs) continue
    windowAt = performance.now()
    const growth = fuzzer.checkGrowth()
    if (growth !== undefined) await found(new Uint8Array(), growth)
    report()
  }
  store.saveCorpus(target.name, fuzzer.kept)
  report()
}

await work(workerData as WorkerTask)
