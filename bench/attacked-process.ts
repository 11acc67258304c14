// A client that downloads and plays while it is attacked.
import type { Client, Torrent } from '../lib/index.ts'
import { answerCalls } from './helper.ts'
import { LoopDelay } from './loop-delay.ts'
import { importFrom } from './other-library.ts'
import { streamOf } from './play-engines.ts'
import { Player } from './player.ts'
import { ZeroStorage } from './zero-storage.ts'

/** Options of the process. */
export interface AttackedTask {
  /** Folder of the compiled library. */
  readonly library: string
  /** Path of a .torrent of zeros. */
  readonly torrent: string
  readonly folder: string
  /** `host:port` of each honest seed. */
  readonly seeds: readonly string[]
  /** Bytes per second that the reader consumes. */
  readonly bitRate: number
  /** In hexadecimal, of a torrent without metadata. */
  readonly magnetHash: string
}

/** Result of one round. */
export interface AttackedReport {
  /** Verified bytes a second. */
  readonly bytesPerSecond: number
  readonly stalls: number
  readonly stallMs: number
  /** Longest time that the event loop was blocked, without time in which the system ran other processes, where that is known. */
  readonly heldMs: number
  /** CPU of the process as a fraction of a core. */
  readonly cpu: number
  readonly connections: number
  readonly heapBytes: number
}

/** Buffer of the reader; must hold more than the 1 MiB that a player waits for first. */
const bufferSeconds = 1.5
/** Start of the reader, as a part of the length. */
const readFrom = 0.4

let torrent: Torrent | undefined
let player: Player | undefined
const faults: string[] = []

process.on('unhandledRejection', (reason) => faults.push(`unhandled rejection: ${String(reason)}`))

function requireZeros(byteOffset: number, chunk: Uint8Array): void {
  if (chunk.some((byte) => byte !== 0)) faults.push(`bytes are wrong near ${byteOffset}`)
}

answerCalls({
  /** Starts the download and the reader; returns the port once the reader has its first MiB. */
  async open({
    library,
    torrent: source,
    folder,
    seeds,
    bitRate,
    magnetHash
  }: AttackedTask): Promise<number> {
    const { Client: Victim } = await importFrom<{ Client: typeof Client }>(library, 'index.js')
    const client = new Victim({ host: '127.0.0.1', dht: false, lsd: false, path: folder })
    client.on('warning', () => {})
    client.add(`magnet:?xt=urn:btih:${magnetHash}`).catch(() => {})
    const added = await client.add(source, { storage: new ZeroStorage(), peers: seeds })
    const [file] = added.files
    if (file === undefined) throw new Error('the torrent has no file')
    const start = Math.floor(readFrom * file.length)
    torrent = added
    player = new Player(bitRate, { compare: requireZeros }, bufferSeconds)
    player.jump(start, performance.now(), streamOf(file.createReadStream({ start })))
    const { firstMebibyteMs } = await player.play(0)
    if (firstMebibyteMs === null) throw new Error('the reader got nothing')
    return client.port
  },
  /** Measures for some seconds. */
  async watch(seconds: number): Promise<AttackedReport> {
    if (torrent === undefined || player === undefined) throw new Error('nothing is open')
    const delay = new LoopDelay()
    const [before, began, cpuBefore] = [torrent.downloaded, performance.now(), process.cpuUsage()]
    const { stalls, stallMs } = await player.play(seconds)
    const elapsedMs = performance.now() - began
    const { user, system } = process.cpuUsage(cpuBefore)
    const { maxMs, ownMaxMs } = delay.stop()
    return {
      bytesPerSecond: ((torrent.downloaded - before) / elapsedMs) * 1000,
      stalls,
      stallMs,
      heldMs: ownMaxMs ?? maxMs,
      cpu: (user + system) / 1000 / elapsedMs,
      connections: torrent.peers.length,
      heapBytes: process.memoryUsage().heapUsed
    }
  },
  faults: (): string[] => faults
})
