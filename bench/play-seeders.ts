import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseTorrent } from '../lib/metainfo/parse-torrent.ts'
import { portOf, startEvilSeeder } from './evil-seeder.ts'
import { Helper } from './helper.ts'
import { libtorrentSeeders } from './libtorrent.ts'
import type { PeerSpec } from './play-swarm.ts'
import type { SeedTask } from './seeder-process.ts'

/** Running seeders, one for each peer of the swarm. */
export interface Seeders {
  readonly ports: readonly number[]
  stop(): Promise<void>
}

/** Starts seeders of a file that do not announce; libtorrent if a Python is given, else this library. */
export async function startSeeders(
  swarm: readonly PeerSpec[],
  torrent: string,
  file: string,
  python: string | undefined
): Promise<Seeders> {
  const honest = swarm.filter(({ corrupt }) => corrupt !== true)
  const source =
    python === undefined
      ? await ownSeeders(honest, torrent, file)
      : await foreignSeeders(python, honest.length, torrent, path.dirname(file))
  const evil: Server[] = []
  const ports: number[] = []
  const left = [...source.ports]
  for (const { corrupt } of swarm) {
    if (corrupt === true) {
      const server = await startEvilSeeder(parseTorrent(readFileSync(torrent)))
      evil.push(server)
      ports.push(portOf(server))
    } else ports.push(left.shift() ?? 0)
  }
  return {
    ports,
    async stop() {
      for (const server of evil) server.close()
      await source.stop()
    }
  }
}

async function ownSeeders(honest: readonly PeerSpec[], torrent: string, file: string): Promise<Seeders> {
  const helper = new Helper('seeder-process')
  const { pieceLength } = parseTorrent(readFileSync(torrent))
  // At the rate of the link, because the kernel's buffers before it could hold seconds of a slow one.
  const uploadLimits = honest.map(({ rate }) => rate)
  const task: SeedTask = { file, pieceLength, uploadLimits }
  return { ports: await helper.call<number[]>('seed', task), stop: () => helper.stop() }
}

async function foreignSeeders(
  python: string,
  count: number,
  torrent: string,
  folder: string
): Promise<Seeders> {
  const task = JSON.stringify({ torrent, folder, count })
  // It ends when its input does, so it cannot outlive this process.
  const child: ChildProcess = spawn(python, ['-c', libtorrentSeeders, task], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
  const exited = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const line = new Promise<string>((resolve, reject) => {
    if (child.stdout !== null) createInterface({ input: child.stdout }).once('line', resolve)
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`libtorrent's seeders ended: ${code}`)))
  })
  return {
    ports: JSON.parse(await line),
    async stop() {
      child.kill('SIGKILL')
      await exited
    }
  }
}
