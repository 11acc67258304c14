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

/** Returns whether a node looks for a hash. */
type Which = (node: number, hash: number) => boolean

/** Looks up peers from one node. */
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

/** Calls a function for each item, some at a time. */
async function each<T>(list: readonly T[], atOnce: number, task: (one: T, index: number) => Promise<void>) {
  const rest = list.entries()
  const work = async (): Promise<void> => {
    for (const [index, one] of rest) await task(one, index)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

test('in a network of 200 nodes an announced peer is found in 6 hops at most, also after a third is gone', async () => {
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
      // One after the other: otherwise the nodes closest to a hash get so many queries at once that it looks
      // like a flood.
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
    // Look-ups now mostly wait for dead nodes, so each node looks for one hash.
    await check(
      all.filter((one, n) => !isGone(one, n)),
      100,
      (at, n) => at % announcers === n
    )
  } finally {
    await Promise.all([...dhts, ...nodes].map((one) => one?.close()))
  }
})
