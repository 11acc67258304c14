// Counts the packets of idle DHT nodes: a line of JSON each minute, then a table. Needs root, for a network namespace, and Debian's
// python3-libtorrent: sessions of libtorrent, with their defaults, are in the same network.
//   npm run build && node dist/bench/dht-at-rest.js [--nodes 200] [--libtorrent 20] [--settle 60] [--minutes 19]
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import {
  type CrowdCount,
  crowdPort,
  type DhtCrowd,
  startCrowd,
  startLibtorrentCrowd
} from '../test/interop/peers/dht-crowd.ts'
import { openPlaces } from '../test/interop/support/namespaces.ts'

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    libtorrent: { type: 'string', default: '20' },
    settle: { type: 'string', default: '60' },
    minutes: { type: 'string', default: '19' }
  }
})
const nodes = Number(values.nodes)
const sessions = Number(values.libtorrent)

/** Packets by method. */
type Sent = CrowdCount['sent']

function difference(after: Sent, before: Sent): Sent {
  return Object.fromEntries(Object.entries(after).map(([kind, count]) => [kind, count - (before[kind] ?? 0)]))
}

/** Packets per node and minute: all, queries, and responses. */
function each(
  sent: Sent,
  count: number,
  minutes: number
): { all: number; questions: number; answers: number } {
  const all = Object.values(sent).reduce((sum, one) => sum + one, 0)
  const answers = sent['answer'] ?? 0
  const round = (packets: number): number => Math.round((packets / count / minutes) * 100) / 100
  return { all: round(all), questions: round(all - answers), answers: round(answers) }
}

const places = openPlaces()
const crowds: DhtCrowd[] = []
try {
  if (!places.separate) throw new Error('network namespaces need root')
  const hosts = places.spread(nodes + sessions, 'global')
  const ours = await startCrowd(places.a, hosts.slice(0, nodes))
  crowds.push(ours)
  const bootstrap = hosts.slice(0, 3).map((host) => `${host}:${crowdPort}`)
  const theirs = startLibtorrentCrowd(places.a, hosts.slice(nodes), bootstrap)
  crowds.push(theirs)
  await sleep(Number(values.settle) * 1000)
  const counts = async (): Promise<[CrowdCount, CrowdCount]> => Promise.all([ours.count(), theirs.count()])
  const before = await counts()
  const began = performance.now()
  let last = before
  const most = [0, 0]
  for (let minute = 1; minute <= Number(values.minutes); minute++) {
    await sleep(began + minute * 60_000 - performance.now())
    const now = await counts()
    const line = (n: 0 | 1, count: number): object => {
      const sent = difference(now[n].sent, last[n].sent)
      const known = now[n].sizes.reduce((sum, size) => sum + size, 0) / count
      const packets = each(sent, count, 1)
      most[n] = Math.max(most[n] ?? 0, packets.all)
      return { ...packets, known: Math.round(known), sent }
    }
    console.log(
      JSON.stringify({
        benchmark: 'dht-at-rest',
        minute,
        ours: line(0, nodes),
        libtorrent: line(1, sessions)
      })
    )
    last = now
  }
  const minutes = (performance.now() - began) / 60_000
  console.log(
    `\n| packets a node sends in a minute | all | questions | answers | most in one minute |\n|---|---:|---:|---:|---:|`
  )
  for (const [name, n, count] of [
    [`${nodes} of ours`, 0, nodes],
    [`${sessions} of libtorrent`, 1, sessions]
  ] as const) {
    const { all, questions, answers } = each(difference(last[n].sent, before[n].sent), count, minutes)
    console.log(`| ${name} | ${all} | ${questions} | ${answers} | ${most[n]} |`)
  }
} finally {
  await Promise.all(crowds.map(({ running }) => running.stop()))
  places.close()
}
