// Runs a client that asks its router for a port, with a tracker beside it: node run-nat.js '{"port":…}' prints a
// JSON line for each change of its status and for each port that the tracker hears. SIGTERM closes it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client, MemoryStorage, type NatStatus } from '../../lib/index.ts'

/** A line of the program. */
export interface NatReport {
  /** Milliseconds since the client was made, or since it was asked to close. */
  readonly ms: number
  readonly status?: NatStatus
  /** Port in an announce to the tracker. */
  readonly announced?: number
  readonly closed?: boolean
}

const { port } = JSON.parse(process.argv[2] ?? '') as { port: number }
let isAdded = false
let began = performance.now()
const say = (report: Omit<NatReport, 'ms'>): void =>
  console.log(JSON.stringify({ ms: Math.round(performance.now() - began), ...report } satisfies NatReport))
const tracker = createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? '', 'http://localhost')
  say({ announced: Number(searchParams.get('port')) })
  response.end('d8:intervali60e12:min intervali1e5:peers0:e')
})
tracker.listen(0, '127.0.0.1')
await new Promise((resolve) => tracker.once('listening', resolve))
const client = new Client({ port, natTraversal: true, dht: { bootstrap: [] }, lsd: false, pex: false })
client.on('warning', (warning) => console.error('warning', warning))
let last = ''
const look = (): void => {
  const status = client.natStatus
  const text = JSON.stringify(status)
  if (text !== last) say({ status })
  last = text
  // Added once the port is mapped, because a tracker is not asked again within a minute.
  if (status.state === 'mapped' && !isAdded) add()
}
const add = (): void => {
  isAdded = true
  const { port: trackerPort } = tracker.address() as AddressInfo
  const options = { trackers: [`http://127.0.0.1:${trackerPort}/announce`], storage: new MemoryStorage() }
  client.add(`magnet:?xt=urn:btih:${'ab'.repeat(20)}`, options).catch(() => {})
}
const timer = setInterval(look, 2)
process.once('SIGTERM', async () => {
  began = performance.now()
  await client.close()
  clearInterval(timer)
  say({ closed: true })
  tracker.close()
})
