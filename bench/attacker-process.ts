// Hostile peers in a process that is limited to a part of a core.
import { setTimeout as sleep } from 'node:timers/promises'
import { Attack } from './attack-host.ts'
import { AttackPeer } from './attack-peer.ts'
import { limitCpu } from './cpu-limit.ts'
import { answerCalls } from './helper.ts'
import { type Crowding, crowdings, hostileKindOf } from './hostile-kinds.ts'

/** Hosts that attack at the same time. */
export interface AttackTask {
  readonly port: number
  readonly pieces: number
  readonly pieceLength: number
  /** Hexadecimal; `magnetHash` is of a torrent without metadata. */
  readonly infoHash: string
  readonly magnetHash: string
  /** The kind of each attack, and the address of its host. */
  readonly hosts: readonly (readonly [kind: string, from: string])[]
  readonly ms: number
}

interface Done {
  readonly connections: number
  readonly bytes: number
}

/** Result of an attack. */
export interface AttackReport extends Done {
  /** CPU of the process as a fraction of a core. */
  readonly cpu: number
}

/** Pause before reading the CPU time, in which the limit compensates for the last turn. */
const restMs = 100

/** Opens idle connections and holds them until the other side closes them. */
async function crowdIn(
  { port, infoHash, ms }: AttackTask,
  from: string,
  { perMs, most, addresses, silent }: Crowding
): Promise<Done> {
  const network = from.slice(0, from.lastIndexOf('.'))
  const peers = new Set<AttackPeer>()
  let connections = 0
  const began = performance.now()
  for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - began) {
    while (connections < elapsed * perMs && peers.size < most && performance.now() - began < ms) {
      const peer = new AttackPeer({
        port,
        from: `${network}.${1 + (connections % addresses)}`,
        infoHash: Buffer.from(infoHash, 'hex'),
        fast: true,
        silent
      })
      connections++
      peers.add(peer)
      peer.closed.then(() => peers.delete(peer))
    }
    await sleep(5)
  }
  for (const { socket } of peers) socket.destroy()
  return { connections, bytes: 0 }
}

async function attack(task: AttackTask, name: string, from: string): Promise<Done> {
  const crowding = crowdings[name]
  if (crowding !== undefined) return await crowdIn(task, from, crowding)
  const kind = hostileKindOf(name)
  const { pieces, infoHash, magnetHash, port } = task
  const target = { pieces, infoHash: Buffer.from(kind.magnet === true ? magnetHash : infoHash, 'hex') }
  const host = new Attack(kind, target, port, 'persistent', from)
  await host.run(task.ms)
  return host
}

let cpuShare = (): number => 0

answerCalls({
  /** Limits the process to this fraction of a core. */
  limit(part: number): void {
    cpuShare = limitCpu(part)
  },
  async attack(task: AttackTask): Promise<AttackReport> {
    cpuShare()
    const done = await Promise.all(task.hosts.map(([name, from]) => attack(task, name, from)))
    await sleep(restMs)
    const sum = (of: keyof Done): number => done.reduce((total, one) => total + one[of], 0)
    return { connections: sum('connections'), bytes: sum('bytes'), cpu: cpuShare() }
  }
})
