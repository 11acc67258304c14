// A whole network of real sockets on loopback.
import assert from 'node:assert/strict'
import test from 'node:test'
import { DhtNetworks } from '../../lib/dht/dht-networks.ts'
import { peersOf } from '../../lib/dht/peer-filter.ts'
import { DHT } from '../../lib/dht.ts'
import { randomBytes } from '../../lib/util/bytes.ts'

const local = '127.0.0.1'
const count = 200
const announcers = 4

interface Found {
  readonly ports: ReadonlySet<number>
  readonly hops: number
}

/** Which node looks for which hash. */
type Which = (node: number, hash: number) => boolean

/** Looks for peers as seen from one node. */
async function look({ nodes: [node] }: DhtNetworks, infoHash: Uint8Array): Promise<Found> {
  const steps = node?.lookup(infoHash, { method: 'get_peers', args: { info_hash: infoHash } })
  const ports = new Set<number>()
  for (;;) {
    const step = await steps?.next()
    if (step === undefined) throw new Error('the node has no port')
    if (step.done === true) return { ports, hops: step.value.hops }
    for (const { port } of peersOf(step.value.values, step.value.node)) ports.add(port)
  }
}

/** Does something with all, some at a time. */
async function each<T>(list: readonly T[], atOnce: number, task: (one: T, index: number) => Promise<void>) {
  const rest = list.entries()
  const work = async (): Promise<void> => {
    for (const [index, one] of rest) await task(one, index)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

test('of 200 nodes every one finds what was announced in 6 hops at most, also after a third is gone', async () => {
  const root = new DHT({ host: local, bootstrap: [] })
  await root.ready
  const options = { host: local, bootstrap: [`${local}:${root.ports[4]}`] }
  const dhts = [root, ...Array.from({ length: announcers - 1 }, () => new DHT(options))]
  await Promise.all(dhts.map(({ ready }) => ready))
  const nodes = Array.from({ length: count - announcers }, () => undefined as DhtNetworks | undefined)
  try {
    await each(nodes, 8, async (_, n) => {
      nodes[n] = new DhtNetworks({ host: local, bootstrap: [`${local}:${dhts[n % announcers]?.ports[4]}`] })
      await nodes[n]?.ready
    })
    const hashes = dhts.map(() => randomBytes(20))
    await Promise.all(
      dhts.map(async (dht, n) => {
        assert.ok((await dht.announce(hashes[n] ?? '', 1000 + n)) >= 8)
      })
    )
    const all = nodes.filter((node) => node !== undefined)
    const check = async (some: readonly DhtNetworks[], atOnce: number, which: Which): Promise<void> => {
      // By turns, for those closest to a hash take too many questions at once for a flood.
      const pairs = some.flatMap((node, at) =>
        hashes.map((infoHash, n) => ({ node, infoHash, n })).filter(({ n }) => which(at, n))
      )
      await each(pairs, atOnce, async ({ node, infoHash, n }) => {
        const { ports, hops } = await look(node, infoHash)
        const own = node.nodes[0]?.stored(infoHash).length ?? 0
        assert.ok(ports.has(1000 + n) || own > 0, `hash ${n}: not found`)
        assert.ok(hops <= 6, `hash ${n}: ${hops} hops`)
      })
    }
    await check(all, 16, () => true)
    const isGone = (_: unknown, n: number): boolean => n % 3 === 1
    await Promise.all(all.filter(isGone).map((node) => node.close()))
    // Look-ups now wait for the dead most of the time, so each node looks for one.
    await check(
      all.filter((one, n) => !isGone(one, n)),
      100,
      (at, n) => at % announcers === n
    )
  } finally {
    await Promise.all([...dhts, ...nodes].map((one) => one?.close()))
  }
})
