import { seededRandom } from './event-loop.ts'
import type { PeerPlan, ReaderPlan, Scenario } from './swarm.ts'

const mebi = 1 << 20

function reader(bytesPerMs: number, seeks: ReaderPlan['seeks'] = [], start = 0, startsAtMs = 0): ReaderPlan {
  return { startsAtMs, bytesPerMs, start, seeks }
}

function times(count: number, plan: (index: number) => PeerPlan): PeerPlan[] {
  return Array.from({ length: count }, (_, index) => plan(index))
}

/** Returns the named scenarios. `scale` below 1 makes files and swarms smaller by about that factor. */
export function scenarios(scale = 1): Scenario[] {
  const pieces = (count: number): number => Math.max(24, Math.round(count * scale))
  const list: Scenario[] = []
  const add = (name: string, scenario: Omit<Scenario, 'name' | 'limitMs'> & { limitMs?: number }): void => {
    list.push({ limitMs: 3_600_000, ...scenario, name })
  }

  add('one fast peer', {
    pieceLength: mebi,
    pieceCount: pieces(256),
    peers: [{ bytesPerMs: 20_000, latencyMs: 20 }],
    readers: [reader(2000)]
  })

  const mixedPieces = pieces(384)
  const mixed = [
    ...times(4, () => ({ bytesPerMs: 1000, latencyMs: 40 })),
    ...times(2, () => ({ bytesPerMs: 300, latencyMs: 120 })),
    { bytesPerMs: 50, latencyMs: 300 },
    { bytesPerMs: 1000, latencyMs: 40, silentAfterBytes: 2_000_000 }
  ]
  add('8 mixed, one silent', {
    pieceLength: mebi,
    pieceCount: mixedPieces,
    peers: mixed,
    readers: [reader(2000, [{ atMs: 15_000, to: Math.floor(mixedPieces * 0.7) * mebi + 300_000 }])]
  })

  const random200 = seededRandom(200)
  add('200 peers, 4 KB/s to 2 MB/s', {
    pieceLength: 512 << 10,
    pieceCount: pieces(2000),
    peers: times(Math.max(40, 200 * scale), () => ({
      bytesPerMs: 4 * 500 ** random200(),
      latencyMs: 20 + 200 * random200(),
      jitterMs: 10
    })),
    readers: [reader(3000, [{ atMs: 12_000, to: Math.floor(pieces(2000) * 0.6) * (512 << 10) }])]
  })

  add('high latency', {
    pieceLength: mebi,
    pieceCount: pieces(128),
    peers: times(6, () => ({ bytesPerMs: 500, latencyMs: 800, jitterMs: 100 })),
    readers: [reader(1000, [{ atMs: 20_000, to: Math.floor(pieces(128) * 0.6) * mebi }])]
  })

  add('a lone slow seed', {
    pieceLength: 256 << 10,
    pieceCount: pieces(64),
    peers: [{ bytesPerMs: 50, latencyMs: 100 }],
    readers: [reader(40)]
  })

  // All get all pieces within a minute from elsewhere, in random order, as rarest first gives.
  const randomCrowd = seededRandom(5)
  const crowdPieces = pieces(256)
  add('flash crowd of leechers', {
    pieceLength: 512 << 10,
    pieceCount: crowdPieces,
    peers: [
      { bytesPerMs: 600, latencyMs: 60 },
      ...times(30, () => {
        const order = Array.from({ length: crowdPieces }, (_, piece) => ({ piece, at: randomCrowd() }))
        order.sort((a, b) => a.at - b.at)
        return {
          bytesPerMs: 50 + 150 * randomCrowd(),
          latencyMs: 30 + 100 * randomCrowd(),
          pieces: [],
          gains: order.map(({ piece }, index) => ({ piece, atMs: 500 + (60_000 * index) / crowdPieces }))
        }
      })
    ],
    readers: [reader(1000)]
  })

  const slowOnly = [...Array(pieces(128)).keys()].filter((piece) => piece !== 0 && piece !== 40 % pieces(128))
  add('cursor piece at one slow peer', {
    pieceLength: 256 << 10,
    pieceCount: pieces(128),
    peers: [
      { bytesPerMs: 100, latencyMs: 80 },
      ...times(6, () => ({ bytesPerMs: 800, latencyMs: 40, pieces: slowOnly }))
    ],
    readers: [reader(1000)]
  })

  add('16 MiB pieces', {
    pieceLength: 16 * mebi,
    pieceCount: pieces(40),
    peers: times(12, (index) => ({ bytesPerMs: 150 + 60 * index, latencyMs: 30 + 15 * index })),
    readers: [reader(2000, [{ atMs: 30_000, to: Math.floor(pieces(40) * 0.6) * 16 * mebi }])]
  })

  add('two readers at opposite ends', {
    pieceLength: mebi,
    pieceCount: pieces(256),
    peers: times(8, (index) => ({ bytesPerMs: 200 + 100 * index, latencyMs: 30 + 20 * index })),
    readers: [reader(1200), reader(1200, [], Math.floor(pieces(256) * 0.6) * mebi)]
  })

  const randomSeeks = seededRandom(9)
  add('seek storm', {
    pieceLength: mebi,
    pieceCount: pieces(256),
    peers: times(8, (index) => ({ bytesPerMs: 200 + 100 * index, latencyMs: 30 + 20 * index })),
    readers: [
      reader(
        1500,
        Array.from({ length: 20 }, (_, index) => ({
          atMs: 2000 + 1500 * index,
          to: Math.floor(randomSeeks() * (pieces(256) - 20)) * mebi
        }))
      )
    ]
  })

  // A peer stays for five minutes on average, and a new one replaces it.
  const randomChurn = seededRandom(3)
  const churning: PeerPlan[] = []
  for (let place = 0; place < 30; place++) {
    for (let joinsAtMs = 0; joinsAtMs < 600_000; ) {
      const leavesAtMs = joinsAtMs - Math.log(1 - randomChurn()) * 300_000
      const bytesPerMs = 50 + 350 * randomChurn()
      churning.push({ bytesPerMs, latencyMs: 30 + 120 * randomChurn(), joinsAtMs, leavesAtMs })
      joinsAtMs = leavesAtMs + 500
    }
  }
  add('churn of 20 % a minute', {
    pieceLength: mebi,
    pieceCount: pieces(512),
    peers: churning,
    readers: [reader(2500, [{ atMs: 30_000, to: Math.floor(pieces(512) * 0.5) * mebi }])]
  })

  add('a film with its index at the end', {
    pieceLength: mebi,
    pieceCount: pieces(200),
    peers: [{ bytesPerMs: 300, latencyMs: 60 }],
    readers: [{ ...reader(200), indexBytes: 2 * mebi }]
  })

  add('a seek beside a reader that has paused', {
    pieceLength: mebi,
    pieceCount: pieces(400),
    peers: times(4, () => ({ bytesPerMs: 250, latencyMs: 60 })),
    readers: [
      { ...reader(300), pausesAtMs: 40_000, stopsAtMs: 90_000 },
      {
        ...reader(300, [{ atMs: 60_000, to: Math.floor(pieces(400) * 0.8) * mebi }], 0, 45_000),
        start: Math.floor(pieces(400) * 0.4) * mebi,
        stopsAtMs: 90_000
      }
    ]
  })

  // Honest capacity is one and a half times the bit rate.
  const honest: PeerPlan[] = [
    { bytesPerMs: 20, latencyMs: 600, jitterMs: 50 },
    { bytesPerMs: 60, latencyMs: 400, jitterMs: 50 },
    { bytesPerMs: 120, latencyMs: 300, jitterMs: 30 },
    { bytesPerMs: 200, latencyMs: 200, jitterMs: 30 },
    { bytesPerMs: 300, latencyMs: 120, jitterMs: 20 },
    { bytesPerMs: 500, latencyMs: 60, jitterMs: 10 }
  ]
  const bitRate = honest.reduce((sum, { bytesPerMs }) => sum + bytesPerMs, 0) / 1.5
  add('harsh', {
    pieceLength: mebi,
    pieceCount: pieces(160),
    peers: [
      ...honest,
      { bytesPerMs: 500, latencyMs: 50, silent: true },
      { bytesPerMs: 800, latencyMs: 60, silentAfterBytes: 1_500_000 },
      { bytesPerMs: 300, latencyMs: 80, corrupts: 0.2 }
    ],
    readers: [reader(bitRate, [{ atMs: 40_000, to: Math.floor(pieces(160) * 0.6) * mebi }])]
  })
  return list
}
