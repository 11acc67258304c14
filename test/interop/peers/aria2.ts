import path from 'node:path'
import { until } from '../../support/until.ts'
import { type Running, start } from '../support/process.ts'
import type { Leeching, LeechTask, RealPeer, SeedTask } from './real-peer.ts'

function command(
  { torrentPath, port, place, workFolder, finding, ...rest }: SeedTask | LeechTask,
  folder: string,
  more: readonly string[]
): string[] {
  return [
    'aria2c',
    '--no-conf',
    `--dir=${folder}`,
    `--listen-port=${port}`,
    ...(finding?.dht === undefined
      ? ['--enable-dht=false']
      : [
          '--enable-dht=true',
          `--dht-entry-point=${finding.dht}`,
          `--dht-listen-port=${port}`,
          `--dht-file-path=${path.join(workFolder, `aria2-${port}.dht`)}`
        ]),
    '--enable-dht6=false',
    `--bt-enable-lpd=${finding?.lsd ?? false}`,
    `--bt-lpd-interface=${place.host}`,
    `--enable-peer-exchange=${finding?.pex ?? false}`,
    `--max-download-limit=${('downloadLimit' in rest && rest.downloadLimit) || 0}`,
    '--disable-ipv6=true',
    ...(rest.cipher === undefined || rest.cipher === 'none'
      ? []
      : ['--bt-require-crypto=true', `--bt-min-crypto-level=${rest.cipher === 'rc4' ? 'arc4' : 'plain'}`]),
    '--file-allocation=none',
    '--bt-tracker-interval=2',
    '--summary-interval=0',
    '--show-console-readout=false',
    '--console-log-level=notice',
    '--enable-color=false',
    ...more,
    'magnet' in rest && rest.magnet !== undefined ? rest.magnet : torrentPath
  ]
}

/** The aria2 download utility. */
export const aria2: RealPeer = {
  name: 'aria2',
  starvesUnderLimit: true,
  needed: ['aria2c'],
  needsNamespaces: false,
  // Its UDP tracker client exists only while its DHT is on.
  speaksUdp: false,
  keepsNames: true,
  createsEmptyFiles: true,
  // It cannot switch encryption off, but does without if the other side has none.
  ciphers: ['none', 'handshake', 'rc4'],

  async seed(task: SeedTask): Promise<Running> {
    let seeding = false
    const more = [
      '--check-integrity=true',
      '--bt-hash-check-seed=true',
      '--seed-ratio=0.0',
      '--allow-overwrite=true'
    ]
    const running = start('aria2 seeder', command(task, task.dataFolder, more), {
      place: task.place,
      onLine: (line) => {
        if (line.includes('Verification finished successfully')) seeding = true
      }
    })
    await until('aria2 to seed', () => seeding, { programs: [running] })
    return running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const running = start('aria2 leecher', command(task, task.outFolder, ['--seed-time=0']), {
      place: task.place
    })
    const done = running.exited.then((code) => {
      if (code !== 0) throw new Error(`aria2 ended with ${code}\n${running.log().slice(-8000)}`)
    })
    return { ...running, done }
  }
}
