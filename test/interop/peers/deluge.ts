import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { systemPython } from '../support/need.ts'
import { type Running, start } from '../support/process.ts'
import {
  type Cipher,
  freePort,
  type Leeching,
  type LeechTask,
  type RealPeer,
  type SeedTask
} from './real-peer.ts'

// Policies are 0 for forced and 2 for disabled; levels are 0 for the handshake and 1 for RC4.
const encryption: Record<Cipher, object> = {
  none: { enc_in_policy: 2, enc_out_policy: 2, enc_level: 2 },
  handshake: { enc_in_policy: 0, enc_out_policy: 0, enc_level: 0 },
  rc4: { enc_in_policy: 0, enc_out_policy: 0, enc_level: 1 }
}

// Adds the torrent over the RPC of the daemon, and then prints its state.
const script = `
import base64, sys
from deluge.ui.client import client
from twisted.internet import defer, reactor, task
port, torrent, folder = sys.argv[1:]
wait = lambda: task.deferLater(reactor, 0.1, lambda: None)
@defer.inlineCallbacks
def main():
  while True:
    try:
      yield client.connect('127.0.0.1', int(port), 'tester', 'secret')
      break
    except Exception:
      yield wait()
  data = base64.b64encode(open(torrent, 'rb').read()).decode()
  name = yield client.core.add_torrent_file('a.torrent', data, {'download_location': folder})
  while True:
    status = yield client.core.get_torrent_status(name, ['state'])
    print('state', status['state'], flush=True)
    yield wait()
main().addErrback(lambda failure: (failure.printTraceback(), reactor.stop()))
reactor.run()
`

interface Daemon {
  readonly running: Running
  isSeeding(): boolean
}

async function launch(
  name: string,
  { torrentPath, place, port, workFolder, cipher = 'none' }: SeedTask | LeechTask,
  folder: string
): Promise<Daemon> {
  const own = path.join(workFolder, `deluge-${port}`)
  mkdirSync(own)
  const rpcPort = await freePort()
  const settings = {
    ...encryption[cipher],
    daemon_port: rpcPort,
    listen_ports: [port, port],
    random_port: false,
    listen_interface: place.host,
    outgoing_interface: place.host,
    dht: false,
    upnp: false,
    natpmp: false,
    lsd: false,
    utpex: false,
    new_release_check: false
  }
  writeFileSync(
    path.join(own, 'core.conf'),
    `${JSON.stringify({ file: 1, format: 1 })}${JSON.stringify(settings)}`
  )
  writeFileSync(path.join(own, 'auth'), 'tester:secret:10\n')
  const env = { HOME: own }
  const daemon = start(name, ['deluged', '--do-not-daemonize', '--config', own], { place, env })
  let state = ''
  const command = [systemPython, '-c', script, `${rpcPort}`, torrentPath, folder]
  const watch = start(`${name}'s watcher`, command, {
    place,
    env,
    onLine: (line) => {
      state = line
    }
  })
  const log = (): string => `${daemon.log()}\n${watch.log()}`
  const stop = async (): Promise<void> => {
    await Promise.all([watch.stop(), daemon.stop()])
  }
  return { running: { ...daemon, log, stop }, isSeeding: () => state === 'state Seeding' }
}

/** The daemon of Deluge, driven over its RPC. It is built on libtorrent. */
export const deluge: RealPeer = {
  name: 'Deluge',
  needed: ['deluged', 'python3:deluge'],
  needsNamespaces: false,
  speaksUdp: true,
  keepsNames: true,
  createsEmptyFiles: true,
  ciphers: ['none', 'handshake', 'rc4'],

  async seed(task: SeedTask): Promise<Running> {
    const { running, isSeeding } = await launch('Deluge seeder', task, task.dataFolder)
    await until('Deluge to seed', isSeeding, { programs: [running] })
    return running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const { running, isSeeding } = await launch('Deluge leecher', task, task.outFolder)
    return {
      ...running,
      done: until('Deluge to finish', isSeeding, { timeoutMs: 300_000, programs: [running] })
    }
  }
}
