import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createTorrent } from '../lib/metainfo/create-torrent.ts'
import { Helper } from './helper.ts'
import type { Counts, LeechesTask, SeedsTask } from './swarm-process.ts'

// Measures how exactly rate limits are kept, over loopback: `node dist/bench/limits.js [seconds] [up|down]`. Counts all bytes of the
// protocol, as the limits do, at the receiver; the shares of torrents are those of whole blocks. Prints the smallest share next to the
// mean, in percent.

const [secondsText = '10', only] = process.argv.slice(2)
const seconds = Number(secondsText)
const warmUpMs = 2000

interface Case {
  readonly direction: 'up' | 'down'
  readonly bytesPerSecond: number
  readonly peers: number
  readonly torrents: number
}

const cases: Case[] = []
for (const direction of ['up', 'down'] as const) {
  if (only !== undefined && only !== direction) continue
  for (const bytesPerSecond of [100_000, 1_000_000, 20_000_000]) {
    for (const [peers, torrents] of [
      [1, 1],
      [8, 1],
      [1, 4],
      [8, 4]
    ] as const) {
      cases.push({ direction, bytesPerSecond, peers, torrents })
    }
  }
}

/** Returns the smallest value relative to the mean, in percent. */
function spread(values: readonly number[]): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.length < 2 ? '-' : `${((100 * Math.min(...values)) / mean).toFixed(0)}`
}

const root = mkdtempSync(path.join(tmpdir(), 'piecewise-limits-'))
console.log('direction   bytes/s  peers  torrents   measured  error %  least peer %  least torrent %')
try {
  for (const [n, { direction, bytesPerSecond, peers, torrents }] of cases.entries()) {
    const folder = path.join(root, `${n}`)
    mkdirSync(folder)
    // Sparse files with different first bytes, long enough for the whole time.
    const each = (bytesPerSecond * (seconds + 6)) / torrents
    const length = Math.ceil(Math.max(each, 4 << 20) / 65536) * 65536
    const pieceLength = bytesPerSecond > 5e6 ? 1 << 20 : 65536
    const files: string[] = []
    const paths: string[] = []
    for (let torrent = 0; torrent < torrents; torrent++) {
      const file = path.join(folder, `file${torrent}`)
      const handle = openSync(file, 'w')
      ftruncateSync(handle, length)
      writeSync(handle, `torrent ${torrent}`)
      closeSync(handle)
      files.push(file)
      paths.push(`${file}.torrent`)
      writeFileSync(`${file}.torrent`, await createTorrent(file, { pieceLength, creationDate: false }))
    }
    const source = new Helper('swarm-process')
    const target = new Helper('swarm-process')
    try {
      const up = direction === 'up'
      const seeds: SeedsTask = {
        files,
        pieceLength,
        clients: up ? 1 : peers,
        uploadLimit: up ? bytesPerSecond : null
      }
      const ports = await source.call<number[]>('seed', seeds)
      const leeches: LeechesTask = {
        torrents: paths,
        clients: up ? peers : 1,
        downloadLimit: up ? null : bytesPerSecond,
        peers: ports.map((port) => `127.0.0.1:${port}`)
      }
      await target.call('leech', leeches)
      await new Promise((resolve) => setTimeout(resolve, warmUpMs))
      const before = await target.call<Counts>('counts')
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
      const after = await target.call<Counts>('counts')
      const byPeer = after.connections.map((bytes, peer) => bytes - (before.connections[peer] ?? 0))
      const byTorrent = after.torrents.map((bytes, torrent) => bytes - (before.torrents[torrent] ?? 0))
      const total = byPeer.reduce((sum, bytes) => sum + bytes, 0)
      const rate = (total * 1000) / (after.at - before.at)
      const error = 100 * (rate / bytesPerSecond - 1)
      console.log(
        [
          direction.padEnd(9),
          `${bytesPerSecond}`.padStart(9),
          `${peers}`.padStart(6),
          `${torrents}`.padStart(9),
          rate.toFixed(0).padStart(10),
          error.toFixed(2).padStart(8),
          spread(byPeer).padStart(13),
          spread(byTorrent).padStart(16)
        ].join(' ')
      )
    } finally {
      await Promise.all([source.stop(), target.stop()])
      rmSync(folder, { recursive: true, force: true })
    }
  }
} finally {
  rmSync(root, { recursive: true, force: true })
}
