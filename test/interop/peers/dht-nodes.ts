import { fileURLToPath } from 'node:url'
import { until } from '../../support/until.ts'
import { type Place, type Running, start } from '../support/process.ts'

/** Input of the child program; see `run-dht.ts`. */
export interface DhtTask {
  /** The address of each node. */
  readonly hosts: readonly string[]
}

/** Report of the child program, once a second. */
export interface DhtReport {
  /** The UDP port of each node. */
  readonly ports: readonly number[]
  /** Number of nodes that each of its nodes knows. */
  readonly sizes: readonly number[]
}

/** A small DHT of our nodes. */
export interface DhtNodes extends Running {
  /** `host:port` of each node. */
  readonly addresses: readonly string[]
}

const program = fileURLToPath(new URL('../run-dht.js', import.meta.url))

/** Starts a node at each of these addresses of a place, in one process. Resolves when they know each other. */
export async function startDht(place: Place, hosts: readonly string[]): Promise<DhtNodes> {
  let report: DhtReport | undefined
  const task: DhtTask = { hosts }
  const running = start('DHT nodes', [process.execPath, program, JSON.stringify(task)], {
    place,
    onLine: (line) => {
      if (line.startsWith('{"ports":')) report = JSON.parse(line) as DhtReport
    }
  })
  await until('the DHT nodes to start', () => report !== undefined, { programs: [running] })
  return { ...running, addresses: hosts.map((host, n) => `${host}:${report?.ports[n]}`) }
}
