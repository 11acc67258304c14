// The victim of an attack: a client of the library in a given folder, alone in its process, so that all CPU time of the process is its own.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { PerformanceObserver } from 'node:perf_hooks'
import { pathToFileURL } from 'node:url'
import type { Client } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { type TurnReport, TurnWatch } from './turn-watch.ts'
import { ZeroStorage } from './zero-storage.ts'

/** The attacked client and its torrent. */
export interface VictimTask {
  /** Folder of the compiled library: `<library>/lib/index.js`. */
  readonly library: string
  /** Path of a .torrent, or a magnet link. */
  readonly source: string
  /** Folder for its files. */
  readonly folder: string
}

/** The cost of an attack. */
export interface VictimReport {
  /** CPU of all threads, in milliseconds. */
  readonly cpuMs: number
  /** Garbage collection of this thread, in milliseconds. */
  readonly gcMs: number
  /** Duration of the measurement, in milliseconds. */
  readonly wallMs: number
  /** Growth of memory in bytes: RSS, and heap and buffers after a collection. */
  readonly rssGrowth: number
  readonly heapGrowth: number
}

let collectedMs = 0
const observer = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collectedMs += duration
})
observer.observe({ entryTypes: ['gc'] })

let watch: TurnWatch | undefined
let began = {
  cpu: process.cpuUsage(),
  loop: performance.eventLoopUtilization(),
  at: 0,
  gcMs: 0,
  rss: 0,
  heap: 0
}

function heapBytes(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

answerCalls({
  /** Starts the client and returns its port. */
  async start({ library, source, folder }: VictimTask): Promise<number> {
    const entry = pathToFileURL(path.join(path.resolve(library), 'lib/index.js')).href
    const { Client: Victim } = (await import(entry)) as { Client: typeof Client }
    const client = new Victim({
      host: '127.0.0.1',
      dht: false,
      lsd: false,
      path: folder,
      state: path.join(folder, 'state')
    })
    client.on('warning', () => {})
    const isMagnet = source.startsWith('magnet:')
    const adding = client.add(isMagnet ? source : readFileSync(source), { storage: new ZeroStorage() })
    adding.catch(() => {})
    if (!isMagnet) await adding
    await new Promise((resolve) => setTimeout(resolve, 300))
    return client.port
  },
  /** Starts the measurement. */
  async begin(): Promise<void> {
    const heap = heapBytes()
    await new Promise((resolve) => setTimeout(resolve, 100))
    const { rss } = process.memoryUsage()
    const loop = performance.eventLoopUtilization()
    began = { cpu: process.cpuUsage(), loop, at: performance.now(), gcMs: collectedMs, rss, heap }
  },
  /** Starts measuring the length of turns, which keeps a core busy. */
  async watch(culprits: boolean): Promise<void> {
    watch = new TurnWatch(culprits)
    await watch.begin()
  },
  async turns(): Promise<TurnReport | undefined> {
    return await watch?.end()
  },
  async end(): Promise<VictimReport> {
    const { user, system } = process.cpuUsage(began.cpu)
    const cpuMs = (user + system) / 1000
    const wallMs = performance.now() - began.at
    // The observer reports the last collection in a later turn.
    await new Promise((resolve) => setTimeout(resolve, 50))
    // Wall-clock time of a collection is more than its CPU time when other programs run.
    const active = performance.eventLoopUtilization(began.loop).active
    const gcMs = (collectedMs - began.gcMs) * Math.min(1, cpuMs / active)
    const rssGrowth = process.memoryUsage().rss - began.rss
    return { cpuMs, gcMs, wallMs, rssGrowth, heapGrowth: heapBytes() - began.heap }
  }
})
