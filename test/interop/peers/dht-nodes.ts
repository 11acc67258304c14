import { fileURLToPath } from 'node:url'
import { type Place, type Running, start, until } from '../support/process.ts'

/** What the child program is told; see `run-dht.ts`. */
export interface DhtTask {
  readonly host: string
  readonly count: number
}

/** What the child program says each second. */
export interface DhtReport {
  /** The UDP port of its first node. */
  readonly port: number
  /** How many nodes each of its nodes knows. */
  readonly sizes: readonly number[]
}

/** A small DHT of our nodes. */
export interface DhtNodes extends Running {
  /** `host:port` to start from. */
  readonly address: string
}

const program = fileURLToPath(new URL('../run-dht.js', import.meta.url))

/** Starts some nodes in one process; resolves when they know each other. */
export async function startDht(place: Place, count: number): Promise<DhtNodes> {
  let report: DhtReport | undefined
  const task: DhtTask = { host: place.host, count }
  const running = start('DHT nodes', [process.execPath, program, JSON.stringify(task)], {
    place,
    onLine: (line) => {
      if (line.startsWith('{"port":')) report = JSON.parse(line) as DhtReport
    }
  })
  await until('the DHT nodes to start', () => report !== undefined, { programs: [running] })
  return { ...running, address: `${place.host}:${report?.port}` }
}
