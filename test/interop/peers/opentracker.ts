import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { request } from '../support/http.ts'
import { type Place, type Running, start, which } from '../support/process.ts'
import { freePort } from './real-peer.ts'

/** A running tracker. */
export interface Tracker extends Running {
  readonly httpUrl: string
  readonly udpUrl: string
}

/** Requirements of the tracker. */
export const trackerNeeds: readonly string[] = ['opentracker']

// It refuses to stay root, and a process that changes its user no longer dies with the tests. So it starts as
// an unprivileged user.
const asNobody =
  process.getuid?.() === 0 && which('setpriv') !== undefined
    ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--pdeathsig=KILL']
    : []

/** Starts opentracker for these info hashes (hex), with HTTP and UDP on one port. */
export async function startTracker(
  place: Place,
  workFolder: string,
  infoHashes: readonly string[]
): Promise<Tracker> {
  const port = await freePort()
  const folder = path.join(workFolder, `tracker-${port}`)
  mkdirSync(folder)
  // Debian's build serves only info hashes on its list.
  const list = path.join(folder, 'whitelist')
  writeFileSync(list, `${infoHashes.join('\n')}\n`)
  chmodSync(folder, 0o755)
  chmodSync(list, 0o644)
  const command = [
    ...asNobody,
    'opentracker',
    '-i',
    place.host,
    '-p',
    `${port}`,
    '-P',
    `${port}`,
    '-w',
    list,
    '-d',
    '/'
  ]
  const running = start('opentracker', command, { place })
  const httpUrl = `http://${place.host}:${port}/announce`
  await until(
    'opentracker to answer',
    async () => (await request(place, `http://${place.host}:${port}/stats`)).status !== 0,
    {
      programs: [running]
    }
  )
  return { ...running, httpUrl, udpUrl: `udp://${place.host}:${port}/announce` }
}
