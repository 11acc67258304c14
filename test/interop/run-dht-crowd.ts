// Runs many of our DHT nodes in one process, which announce, look up, count and die on demand; see
// `peers/dht-crowd.ts`:
// node run-dht-crowd.js '{"hosts":[…]}' reads commands from its standard input, and prints a line of JSON for
// each answer.
import { createInterface } from 'node:readline'
import { DhtNetworks } from '../../lib/dht/dht-networks.ts'
import { secureId } from '../../lib/dht/node-id.ts'
import { peersOf } from '../../lib/dht/peer-filter.ts'
import { walk, write } from '../../lib/dht/walk.ts'
import type { DatagramPort } from '../../lib/net/datagram-port.ts'
import { bindUdpPort } from '../../lib/net/udp-port.ts'
import { randomBytes } from '../../lib/util/bytes.ts'
import type { CrowdQuestion, CrowdTask, OurFound, Sought } from './peers/dht-crowd.ts'

const { hosts, port } = JSON.parse(process.argv[2] ?? '') as CrowdTask
const methods = ['ping', 'find_node', 'get_peers', 'announce_peer']
const sent: Record<string, number> = {}

interface Member {
  readonly networks: DhtNetworks
  readonly port: DatagramPort
}

/** Starts one node. Its id fits its address from the start, as after an earlier run. */
async function join(host: string, bootstrap: readonly string[]): Promise<Member> {
  const bound = await bindUdpPort({ family: 4, host, port })
  const counting: DatagramPort = {
    family: bound.family,
    port: bound.port,
    claim: (claim) => bound.claim(claim),
    close: () => bound.close(),
    send(message, to, onError) {
      const text = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('latin1')
      const kind = text.endsWith('1:y1:qe')
        ? methods.find((method) => text.includes(`:${method}1:`))
        : 'answer'
      sent[kind ?? 'other'] = (sent[kind ?? 'other'] ?? 0) + 1
      bound.send(message, to, onError)
    }
  }
  const networks = new DhtNetworks({ ports: [counting], bootstrap, id: secureId(host, randomBytes) })
  await networks.ready
  return { networks, port: bound }
}

const crowd = new Map<number, Member>()
crowd.set(0, await join(hosts[0] ?? '', []))
const bootstrap = hosts.slice(0, 3).map((host) => `${host}:${port}`)
for (let at = 1; at < hosts.length; at += 10) {
  const some = hosts.slice(at, at + 10)
  const joined = await Promise.all(some.map((host) => join(host, bootstrap)))
  for (const [n, member] of joined.entries()) crowd.set(at + n, member)
}

async function announce(number: number, infoHash: string): Promise<number> {
  const target = Buffer.from(infoHash, 'hex')
  const args = { info_hash: target }
  const told = await crowd.get(number)?.networks.each(async (node) => {
    const found = await walk(node, target, {
      method: 'get_peers',
      args,
      onAnswer: () => {},
      signal: undefined
    })
    return write(node, found, 'announce_peer', () => ({ ...args, port }), undefined)
  }, undefined)
  return told?.[0] ?? 0
}

/** Lets every node look up everything, a few at a time so that no node is flooded; or only one. */
async function find(sought: readonly Sought[], only: number | undefined): Promise<OurFound> {
  const began = performance.now()
  const from = only === undefined ? [...crowd.keys()] : [only]
  const looks = from.flatMap((number) => sought.map((one) => ({ number, ...one })))
  const missing: { number: number; peer: string }[] = []
  let [hops, questions, mostHops] = [0, 0, 0]
  const queue = looks.values()
  const work = async (): Promise<void> => {
    for (const { number, infoHash, peer } of queue) {
      const node = crowd.get(number)?.networks.node(4)
      if (node === undefined) continue
      const target = Buffer.from(infoHash, 'hex')
      const onPeer = (found: { host: string; port: number }): boolean =>
        `${found.host}:${found.port}` === peer
      let found = false
      const steps = node.lookup(target, { method: 'get_peers', args: { info_hash: target } })
      for (;;) {
        const step = await steps.next()
        if (step.done === true) {
          hops += step.value.hops
          mostHops = Math.max(mostHops, step.value.hops)
          questions += step.value.queries
          break
        }
        found ||= [...peersOf(step.value.values, step.value.node)].some(onPeer)
      }
      if (!found) missing.push({ number, peer })
    }
  }
  await Promise.all(Array.from({ length: 24 }, work))
  const count = looks.length
  const ms = performance.now() - began
  return { looks: count, missing, mostHops, meanHops: hops / count, meanQuestions: questions / count, ms }
}

/** Kills nodes silently, like a killed process. */
async function kill(numbers: readonly number[]): Promise<number> {
  for (const number of numbers) {
    const member = crowd.get(number)
    crowd.delete(number)
    await member?.networks.close()
    await member?.port.close()
  }
  return crowd.size
}

async function answer(question: CrowdQuestion): Promise<unknown> {
  if (question.do === 'announce') return announce(question.number, question.infoHash)
  if (question.do === 'find') return find(question.sought, question.only)
  if (question.do === 'kill') return kill(question.numbers)
  const sizes = [...crowd.values()].map(({ networks }) => networks.node(4)?.table.size ?? 0)
  return { sent: { ...sent }, sizes }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const { number, question } = JSON.parse(line) as { number: number; question: CrowdQuestion }
  answer(question).then(
    (answer) => console.log(JSON.stringify({ number, answer })),
    (error) => console.log(JSON.stringify({ number, error: String(error) }))
  )
})
const close = async (): Promise<void> => {
  lines.close()
  await kill([...crowd.keys()])
}
process.on('SIGINT', close)
process.on('SIGTERM', close)
