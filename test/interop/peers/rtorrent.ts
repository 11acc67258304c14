import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { type Running, start } from '../support/process.ts'
import type { Cipher, Leeching, LeechTask, RealPeer, SeedTask } from './real-peer.ts'

const encryption: Record<Cipher, string> = {
  none: 'none',
  handshake: 'allow_incoming,try_outgoing,require,prefer_plaintext',
  rc4: 'allow_incoming,try_outgoing,require,require_RC4'
}

interface Daemon {
  readonly running: Running
  /** Whether an event has come: the data is checked, or the download is finished. */
  has(event: 'checked' | 'finished'): boolean
}

function launch(
  name: string,
  { torrentPath, place, port, workFolder, cipher = 'none' }: SeedTask | LeechTask,
  folder: string
): Daemon {
  const own = path.join(workFolder, `rtorrent-${port}`)
  mkdirSync(own)
  const markOf = (event: string): string => path.join(own, event)
  const on = (event: string, mark: string): string =>
    `method.set_key = event.download.${event}, ${mark}, "execute.nothrow = touch, ${markOf(mark)}"`
  const settings = [
    `network.port_range.set = ${port}-${port}`,
    `network.bind_address.set = ${place.host}`,
    'dht.mode.set = disable',
    'protocol.pex.set = no',
    `protocol.encryption.set = ${encryption[cipher]}`,
    'trackers.use_udp.set = no',
    'system.daemon.set = true',
    `directory.default.set = ${folder}`,
    on('hash_done', 'checked'),
    on('finished', 'finished'),
    `load.start = ${torrentPath}`
  ]
  const config = path.join(own, 'rtorrent.rc')
  writeFileSync(config, `${settings.join('\n')}\n`)
  const running = start(name, ['rtorrent', '-n', '-o', `import=${config}`], {
    place,
    env: { HOME: own, TERM: 'dumb' }
  })
  return { running, has: (event) => existsSync(markOf(event)) }
}

/** The rTorrent client, which tells of its events by files. */
export const rtorrent: RealPeer = {
  name: 'rTorrent',
  needed: ['rtorrent'],
  needsNamespaces: false,
  speaksUdp: false,
  keepsNames: true,
  createsEmptyFiles: true,
  ciphers: ['none', 'handshake', 'rc4'],

  async seed(task: SeedTask): Promise<Running> {
    const { running, has } = launch('rTorrent seeder', task, task.dataFolder)
    await until('rTorrent to seed', () => has('checked'), { programs: [running] })
    return running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const { running, has } = launch('rTorrent leecher', task, task.outFolder)
    return {
      ...running,
      done: until('rTorrent to finish', () => has('finished'), { timeoutMs: 300_000, programs: [running] })
    }
  }
}
