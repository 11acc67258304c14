// Measures the cost of each sequence of messages that a hostile peer can repeat forever: a line of JSON for each case, then a table.
//   npm run bench:attack [-- --kind 'have-none;suggest'] [--pieces 1000,20000,2097152] [--from one,several,reconnect,loopback]
//                        [--seconds 10] [--culprits] [--library dist]
// With --culprits it names the functions of the longest turn. Exits with 1 when a kind costs more than a host may. With --library it attacks
// another compiled copy of the library.
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { toHex } from '../lib/util/bytes.ts'
import { messageIds } from '../lib/wire/messages.ts'
import { Attack, type AttackTarget, attackPieceLength as pieceLength, type Way, ways } from './attack-host.ts'
import { type AttackKind, attackKinds, nearlyAll } from './attack-kinds.ts'
import { AttackPeer, message } from './attack-peer.ts'
import type { VictimReport, VictimTask } from './attack-process.ts'
import { Helper } from './helper.ts'
import { infoHashOf, Pattern } from './pattern.ts'
import { scratchFolder } from './scratch.ts'
import type { TurnReport } from './turn-watch.ts'

/** The part of a core that a host may use over ten seconds: in percent, and in milliseconds. */
const mostPercent = 5
const mostMs = 500
/** Measurement error, in percent of a core. */
const slackPercent = 0.5
/** Duration of the measurement without an attack. */
const calmMs = 3000
/** Maximum duration of a turn. */
const mostTurnMs = 20
const turnSeconds = 2
/** Hosts that attack one after another. The first attacks before the measurement, so that compilation is not measured. */
const hosts = { warmUp: '127.8.8.8', measured: '127.7.7.7', watched: '127.6.6.6' } as const
const warmUpMs = 1500
/** Interval between blocks of the calm peer. */
const blockEveryMs = 50

const { values: options } = parseArgs({
  options: {
    kind: { type: 'string' },
    pieces: { type: 'string', default: '1000,20000,2097152' },
    from: { type: 'string', default: ways.join(',') },
    seconds: { type: 'string', default: '10' },
    culprits: { type: 'boolean', default: false },
    library: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) }
  }
})
const seconds = Number(options.seconds)
const kinds = chosen(options.kind?.split(';'), Object.keys(attackKinds))
const chosenWays = chosen(options.from.split(','), ways) as Way[]
const zeros = Buffer.alloc(pieceLength)
const root = scratchFolder(undefined, 2 ** 28)

interface Target extends AttackTarget {
  readonly source: string
}

interface Row {
  readonly kind: string
  readonly pieces: number
  readonly from: Way
  /** CPU of the attack: the victim's total without its calm CPU. */
  readonly percent: number
  /** CPU without an attack. */
  readonly calmPercent: number
  /** The part of both that this thread spent on garbage collection. */
  readonly gcPercent: number
  readonly msPerMegabyte: number
  readonly megabytes: number
  readonly connections: number
  readonly turnMs: number
  readonly culprits: readonly string[]
  readonly heapMegabytes: number
  readonly rssMegabytes: number
  readonly isWithin: boolean
}

const rows: Row[] = []
for (const pieces of options.pieces.split(',').map(Number)) {
  const target = targetOf(pieces)
  const magnet = { ...target, source: `magnet:?xt=urn:btih:${toHex(target.infoHash)}` }
  for (const name of kinds) {
    const kind = attackKinds[name]
    if (kind === undefined) continue
    for (const from of chosenWays) {
      // Kinds that close their connections themselves reconnect anyway.
      if (kind.once === true && from === 'one') continue
      rows.push(await measure(name, kind, kind.magnet === true ? magnet : target, from))
      console.log(JSON.stringify({ benchmark: 'attack', ...rows.at(-1) }))
    }
  }
}
print(rows)
process.exit(rows.every(({ isWithin }) => isWithin) ? 0 : 1)

function chosen(given: readonly string[] | undefined, all: readonly string[]): readonly string[] {
  const wrong = given?.find((name) => !all.includes(name))
  if (wrong !== undefined) throw new Error(`There is no '${wrong}'. There are: ${all.join(', ')}`)
  return given ?? all
}

function targetOf(pieces: number): Target {
  const pattern = new Pattern({ pieceLength, length: pieces * pieceLength, zeros: true })
  const { bytes, metainfo } = pattern.torrent('attacked.bin')
  const source = path.join(root, `${pieces}.torrent`)
  writeFileSync(source, bytes)
  return { source, infoHash: infoHashOf(metainfo), pieces }
}

async function measure(name: string, kind: AttackKind, target: Target, from: Way): Promise<Row> {
  const { calm, report, attack, turns } = await withVictim(target, async (victim, port) => {
    await new Attack(kind, target, port, 'reconnect', hosts.warmUp).run(warmUpMs)
    const calm = await calmReport(victim)
    await victim.call('begin')
    const attack = new Attack(kind, target, port, from, hosts.measured)
    await attack.run(seconds * 1000)
    const report = await victim.call<VictimReport>('end')
    await victim.call('watch', options.culprits)
    await new Attack(kind, target, port, from, hosts.watched).run(turnSeconds * 1000)
    return { calm, report, attack, turns: await victim.call<TurnReport>('turns') }
  })
  const { ownMs, gcMs, culprits } = turns
  const turnMs = Math.max(0, ownMs - gcMs)
  const megabytes = attack.bytes / 2 ** 20
  const calmPercent = (100 * calm.cpuMs) / calm.wallMs
  const percent = Math.max(0, (100 * report.cpuMs) / report.wallMs - calmPercent)
  const gcPercent = (100 * report.gcMs) / report.wallMs
  const most = Math.max(mostPercent, (100 * mostMs) / report.wallMs) + slackPercent
  return {
    kind: name,
    pieces: target.pieces,
    from,
    percent,
    calmPercent,
    gcPercent,
    msPerMegabyte: (report.cpuMs - report.gcMs) / megabytes,
    megabytes,
    connections: attack.connections,
    turnMs,
    culprits,
    heapMegabytes: report.heapGrowth / 2 ** 20,
    rssMegabytes: report.rssGrowth / 2 ** 20,
    isWithin: percent - gcPercent <= most && turnMs <= mostTurnMs
  }
}

async function withVictim<T>(target: Target, run: (victim: Helper, port: number) => Promise<T>): Promise<T> {
  const folder = path.join(root, `victim-${Date.now()}`)
  mkdirSync(folder)
  const victim = new Helper('attack-process', ['--expose-gc'])
  try {
    const task: VictimTask = { library: options.library, source: target.source, folder }
    const port = await victim.call<number>('start', task)
    await accompany(target, port)
    return await run(victim, port)
  } finally {
    await victim.stop()
  }
}

/** Measures the CPU of the victim with the calm peer only. */
async function calmReport(victim: Helper): Promise<VictimReport> {
  await new Promise((resolve) => setTimeout(resolve, 500))
  await victim.call('begin')
  await new Promise((resolve) => setTimeout(resolve, calmMs))
  return await victim.call<VictimReport>('end')
}

/**
 * Starts a calm peer that has nearly everything and sends a block now and then, so that the picker searches for pieces and does not
 * find them at once.
 */
async function accompany({ pieces, infoHash }: Target, port: number): Promise<void> {
  const peer = new AttackPeer({
    port,
    from: '127.9.9.9',
    infoHash,
    fast: true,
    answer: (_, offset, length) => zeros.subarray(offset, offset + length),
    answerEveryMs: blockEveryMs
  })
  if (await peer.ready) await peer.send(Buffer.concat([nearlyAll({ pieces }), message(messageIds.unchoke)]))
  await new Promise((resolve) => setTimeout(resolve, 300))
}

function print(all: readonly Row[]): void {
  console.log(`\nNode ${process.version}, ${seconds} s each, attackers as fast as the victim reads\n`)
  console.log(
    '| messages | pieces | from | CPU, % | of it garbage | ms a MB | MB | connections | longest turn, ms | heap, MB | RSS, MB | |'
  )
  console.log('|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---|')
  for (const row of all) {
    const numbers = [row.percent, row.gcPercent, row.msPerMegabyte, row.megabytes].map((value) =>
      value.toFixed(1)
    )
    const rest = [row.turnMs, row.heapMegabytes, row.rssMegabytes].map((value) => value.toFixed(1))
    const cells = [row.kind, row.pieces, row.from, ...numbers, row.connections, ...rest]
    console.log(`| ${cells.join(' | ')} | ${row.isWithin ? '' : '**too much**'} |`)
  }
}
