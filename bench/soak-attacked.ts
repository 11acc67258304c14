// An honest download and a reader while hostile peers attack from a process that is limited to a tenth of a core.
//   npm run soak -- --attacked                                        all kinds one after another, then all at once
//   npm run soak -- --attacked --kind have-none --kind all       some; 'all' is all at once
//   unshare -rn sh -c 'ip link set lo up; ip route add local 10.0.0.0/8 dev lo; npm run soak -- --attacked --network 10'
//                                                                   peers from 10.0.0.0/8, which are outside this machine's networks
//   npm run soak -- --attacked --library OTHER/dist                   another compiled copy of the library
// Rules, for the medians of rounds that alternate with rounds without an attack: the download keeps nine tenths of its rate, the reader
// does not stall, and nine of ten honest peers that dial are answered. Further options: --pieces, --seconds of a round, --cpu of the attacker,
// --rate of both honest seeds together in MB/s.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { toHex } from '../lib/util/bytes.ts'
import { AttackPeer } from './attack-peer.ts'
import type { AttackedReport, AttackedTask } from './attacked-process.ts'
import type { AttackReport, AttackTask } from './attacker-process.ts'
import { median } from './benchmark.ts'
import type { CrowdTask } from './crowd-process.ts'
import { Helper } from './helper.ts'
import { crowdings, hostileKinds } from './hostile-kinds.ts'
import { ownLibrary } from './other-library.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import { scratchFolder } from './scratch.ts'

/** Bytes per second that the reader consumes. */
const bitRate = 1e6
const leastRate = 0.9
const leastAnswered = 0.9
/** Pause after an attack, so that the next round starts without its backlog. */
const restMs = 500
const dialEveryMs = 250
/** Milliseconds after which an honest peer without a handshake counts as shut out. */
const dialPatienceMs = 3000
const totalLength = 2 ** 35
const everything = 'all'

const { values: options } = parseArgs({
  options: {
    attacked: { type: 'boolean' },
    kind: { type: 'string', multiple: true },
    network: { type: 'string', default: '127' },
    library: { type: 'string', default: ownLibrary },
    pieces: { type: 'string', default: '2097152' },
    // Low enough for any machine, so that only the attack can slow the download.
    rate: { type: 'string', default: '12' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    cpu: { type: 'string', default: '0.1' },
    folder: { type: 'string' }
  }
})
const pieces = Number(options.pieces)
const rounds = Number(options.rounds)
const seconds = Number(options.seconds)
// Loopback addresses do not count as networks, so a crowd from several addresses needs --network.
const possible = hostileKinds.filter(
  (name) => options.network !== '127' || (crowdings[name]?.addresses ?? 1) === 1
)
const allKinds = [...possible, everything]
const kinds = options.kind ?? allKinds
const unknown = kinds.find((name) => !allKinds.includes(name))
if (unknown !== undefined) throw new Error(`There is no '${unknown}'. There are: ${allKinds.join('; ')}`)

interface Round {
  readonly quiet: AttackedReport
  readonly attacked: AttackedReport
  readonly attack: AttackReport
  /** Honest peers that dialled during the attack, and the number of them that were answered. */
  readonly dialled: number
  readonly answered: number
}

const root = scratchFolder(options.folder)
const pieceLength = totalLength / pieces
const pattern = new Pattern({ pieceLength, length: totalLength, zeros: true })
const { bytes, metainfo } = pattern.torrent('attacked.bin')
const torrent = path.join(root, 'attacked.torrent')
writeFileSync(torrent, bytes)
const infoHash = toHex(infoHashOf(metainfo))
const magnetHash = toHex(randomBytes(20))

const crowd = new Helper('crowd-process')
const attacker = new Helper('attacker-process')
const victim = new Helper('attacked-process')
const honest = { bytesPerSecond: (Number(options.rate) * 1e6) / 2, part: 1 }
const seeds: CrowdTask = { pieceLength, length: totalLength, zeros: true, infoHash, peers: [honest, honest] }
const ports = await crowd.call<number[]>('start', seeds)
const port = await victim.call<number>('open', {
  library: options.library,
  torrent,
  folder: root,
  seeds: ports.map((each) => `127.0.0.1:${each}`),
  bitRate,
  magnetHash
} satisfies AttackedTask)
await attacker.call('limit', Number(options.cpu))
// Warm-up: rates settle and hot code is compiled.
await victim.call('watch', 5)
await sleep(1000)

let hosts = 0
const results = new Map<string, Round[]>(kinds.map((name) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const name of kinds) {
    const result = await alternate(name)
    results.get(name)?.push(result)
    console.error(JSON.stringify({ name, ...result }))
  }
}
const faults = await victim.call<string[]>('faults')
for (const text of faults) console.log(`FAULT ${text}`)
const broken = print()
await Promise.all([crowd.stop(), attacker.stop(), victim.stop()])
process.exit(broken + faults.length === 0 ? 0 : 1)

/** Measures without an attack, then with one from hosts that are new to the client. */
async function alternate(name: string): Promise<Round> {
  const quiet = await victim.call<AttackedReport>('watch', seconds)
  const names = name === everything ? possible : [name]
  const task: AttackTask = {
    port,
    pieces,
    pieceLength,
    infoHash,
    magnetHash,
    hosts: names.map((each) => [each, freshHost()]),
    ms: seconds * 1000
  }
  const over = new AbortController()
  const [attack, attacked, { dialled, answered }] = await Promise.all([
    attacker.call<AttackReport>('attack', task),
    victim.call<AttackedReport>('watch', seconds).finally(() => over.abort()),
    dialHonestly(over.signal)
  ])
  await sleep(restMs)
  return { quiet, attacked, attack, dialled, answered }
}

/** Returns an address of this machine in a new /24. */
function freshHost(): string {
  const n = hosts++
  return `${options.network}.${20 + (n >> 8)}.${n & 255}.1`
}

/** Dials as honest peers, each from an address of its own, until `over` is aborted. */
async function dialHonestly(over: AbortSignal): Promise<{ dialled: number; answered: number }> {
  const dials: Promise<boolean>[] = []
  while (!over.aborted) {
    const peer = new AttackPeer({
      port,
      from: freshHost(),
      infoHash: Buffer.from(infoHash, 'hex'),
      fast: true
    })
    dials.push(
      Promise.race([peer.ready, sleep(dialPatienceMs, false, { ref: false })]).finally(() =>
        peer.socket.destroy()
      )
    )
    await sleep(dialEveryMs)
  }
  const all = await Promise.all(dials)
  return { dialled: all.length, answered: all.filter((isAnswered) => isAnswered).length }
}

/** Prints the medians; returns how many rules were broken. */
function print(): number {
  console.log(`\nNode ${process.version}, ${pieces} pieces, medians of ${rounds} rounds of ${seconds} s\n`)
  console.log(
    '| hostile peer | rate kept | quiet, MB/s | reader stalled, s | loop held, ms | victim CPU, % | the same quiet | attacker CPU, % | connections | KB/s | dials answered | |'
  )
  console.log('|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|')
  let broken = 0
  for (const [name, list] of results) {
    const middle = (of: (round: Round) => number): number => median(list.map(of))
    const kept = middle(({ quiet, attacked }) => attacked.bytesPerSecond / quiet.bytesPerSecond)
    const sum = (of: (round: Round) => number): number => list.reduce((total, one) => total + of(one), 0)
    const stalled = sum(({ attacked }) => attacked.stallMs) / 1000
    const quietlyStalled = sum(({ quiet }) => quiet.stallMs) / 1000
    const answered = middle((round) => round.answered / round.dialled)
    const wrong = [
      kept < leastRate ? 'slower' : '',
      stalled > quietlyStalled ? 'stalls' : '',
      answered < leastAnswered ? 'shut out' : ''
    ].filter((word) => word !== '')
    broken += wrong.length
    const cells = [
      name,
      kept.toFixed(2),
      (middle(({ quiet }) => quiet.bytesPerSecond) / 1e6).toFixed(1),
      stalled.toFixed(1),
      middle(({ attacked }) => attacked.heldMs).toFixed(0),
      (100 * middle(({ attacked }) => attacked.cpu)).toFixed(0),
      (100 * middle(({ quiet }) => quiet.cpu)).toFixed(0),
      (100 * middle(({ attack }) => attack.cpu)).toFixed(1),
      middle(({ attack }) => attack.connections).toFixed(0),
      (middle(({ attack }) => attack.bytes) / seconds / 1000).toFixed(0),
      answered.toFixed(2),
      wrong.length === 0 ? '' : `**${wrong.join(', ')}**`
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
  return broken
}
