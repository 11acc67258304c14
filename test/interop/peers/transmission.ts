import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { request } from '../support/http.ts'
import { type Running, start } from '../support/process.ts'
import { freePort, type Leeching, type LeechTask, type RealPeer, type SeedTask } from './real-peer.ts'

interface Daemon {
  readonly running: Running
  call(method: string, args: object): Promise<Record<string, unknown>>
}

/** The file with its DHT nodes. Without it, it waits a quarter of a minute or more from node to node. */
function nodesOfLastRun(addresses: readonly string[]): Buffer {
  const nodes = addresses.map((address) => {
    const [host = '', port] = address.split(':')
    const compact = Buffer.from([...host.split('.').map(Number), 0, 0])
    compact.writeUInt16BE(Number(port), 4)
    return compact
  })
  const compact = Buffer.concat(nodes)
  return Buffer.concat([
    Buffer.from('d2:id20:'),
    randomBytes(20),
    Buffer.from(`5:nodes${compact.length}:`),
    compact,
    Buffer.from('e')
  ])
}

async function launch(
  name: string,
  { place, port, workFolder, finding, ...rest }: SeedTask | LeechTask
): Promise<Daemon> {
  const rpcPort = await freePort()
  const config = path.join(workFolder, `transmission-${port}`)
  mkdirSync(config)
  const settings = {
    'bind-address-ipv4': place.host,
    'peer-port': port,
    'peer-port-random-on-start': false,
    'port-forwarding-enabled': false,
    'dht-enabled': finding?.dht !== undefined,
    'lpd-enabled': finding?.lsd ?? false,
    'pex-enabled': finding?.pex ?? false,
    'speed-limit-down-enabled': 'downloadLimit' in rest && rest.downloadLimit !== undefined,
    'speed-limit-down': Math.ceil((('downloadLimit' in rest && rest.downloadLimit) || 1000) / 1000),
    'utp-enabled': false,
    'rpc-enabled': true,
    'rpc-port': rpcPort,
    'rpc-bind-address': '127.0.0.1',
    'rpc-whitelist-enabled': false,
    'rpc-host-whitelist-enabled': false,
    'rpc-authentication-required': false,
    'ratio-limit-enabled': false,
    'idle-seeding-limit-enabled': false,
    'rename-partial-files': false,
    'start-added-torrents': true,
    'trash-original-torrent-files': false,
    'message-level': 2,
    encryption: rest.cipher === 'rc4' ? 2 : 0
  }
  writeFileSync(path.join(config, 'settings.json'), JSON.stringify(settings))
  if (finding?.dht !== undefined) {
    writeFileSync(path.join(config, 'dht.bootstrap'), `${finding.dht.replace(':', ' ')}\n`)
    writeFileSync(path.join(config, 'dht.dat'), nodesOfLastRun(finding.dhtNodes ?? [finding.dht]))
  }
  const running = start(name, ['transmission-daemon', '--foreground', '--config-dir', config], { place })
  const url = `http://127.0.0.1:${rpcPort}/transmission/rpc`
  let session = ''
  const call = async (method: string, args: object): Promise<Record<string, unknown>> => {
    const send = () =>
      request(place, url, {
        body: JSON.stringify({ method, arguments: args }),
        headers: { 'x-transmission-session-id': session }
      })
    let reply = await send()
    if (reply.status === 409) {
      // The first answer only gives the session id.
      session = reply.headers['x-transmission-session-id'] ?? ''
      reply = await send()
    }
    if (reply.status !== 200) throw new Error(`Transmission answered ${reply.status}: ${reply.body}`)
    const answer = JSON.parse(reply.body) as { result: string; arguments: Record<string, unknown> }
    if (answer.result !== 'success') throw new Error(`Transmission says ${answer.result}`)
    return answer.arguments
  }
  await until('Transmission to answer', async () => (await request(place, url)).status !== 0, {
    programs: [running]
  })
  return { running, call }
}

async function add(daemon: Daemon, torrentPath: string, folder: string, magnet?: string): Promise<void> {
  const answer = await daemon.call('torrent-add', {
    ...(magnet === undefined
      ? { metainfo: readFileSync(torrentPath).toString('base64') }
      : { filename: magnet }),
    'download-dir': folder
  })
  if (!('torrent-added' in answer)) throw new Error(`Transmission did not add: ${JSON.stringify(answer)}`)
}

async function isComplete(daemon: Daemon): Promise<boolean> {
  const fields = ['leftUntilDone', 'status', 'errorString', 'percentDone', 'metadataPercentComplete']
  const answer = await daemon.call('torrent-get', { fields })
  const [torrent] = answer['torrents'] as { leftUntilDone: number; status: number; errorString: string }[]
  // A tracker may not answer the first announce in time, which is a warning here and not the end. 6 is
  // "seeding": while it still checks its files it is 1 or 2.
  return torrent !== undefined && torrent.leftUntilDone === 0 && torrent.status === 6
}

/** transmission-daemon, driven over its RPC port. */
export const transmission: RealPeer = {
  name: 'Transmission',
  needed: ['transmission-daemon'],
  needsNamespaces: true,
  speaksUdp: true,
  keepsNames: false,
  createsEmptyFiles: false,
  ciphers: ['none', 'rc4'],

  async seed(task: SeedTask): Promise<Running> {
    const daemon = await launch('Transmission seeder', task)
    await add(daemon, task.torrentPath, task.dataFolder)
    await until('Transmission to seed', () => isComplete(daemon), { programs: [daemon.running] })
    return daemon.running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const daemon = await launch('Transmission leecher', task)
    await add(daemon, task.torrentPath, task.outFolder, task.magnet)
    const done = until('Transmission to finish', () => isComplete(daemon), {
      timeoutMs: 300_000,
      everyMs: 300,
      programs: [daemon.running]
    })
    return { ...daemon.running, done }
  }
}
