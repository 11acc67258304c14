import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { until } from '../../support/until.ts'
import { writeTorrentOfNode } from '../support/data.ts'
import { request } from '../support/http.ts'
import { type Place, type Running, start } from '../support/process.ts'
import { freePort, type Leeching, type LeechTask, type RealPeer, type SeedTask } from './real-peer.ts'

interface Daemon {
  readonly running: Running
  readonly url: string
}

async function launch(
  name: string,
  { place, port, workFolder, finding, ...rest }: SeedTask | LeechTask
): Promise<Daemon> {
  const webPort = await freePort()
  const profile = path.join(workFolder, `qbittorrent-${port}`)
  const config = path.join(profile, 'qBittorrent', 'config')
  mkdirSync(config, { recursive: true })
  const settings = `[LegalNotice]
Accepted=true

[BitTorrent]
Session\\Port=${port}
Session\\InterfaceAddress=${place.host}
Session\\BTProtocol=TCP
Session\\Encryption=${rest.cipher === undefined ? 0 : rest.cipher === 'rc4' ? 1 : 2}
Session\\DHTEnabled=${finding?.dht !== undefined}
Session\\LSDEnabled=${finding?.lsd ?? false}
Session\\PeXEnabled=${finding?.pex ?? false}
Session\\GlobalDLSpeedLimit=${Math.ceil((('downloadLimit' in rest && rest.downloadLimit) || 0) / 1024)}
Session\\MultiConnectionsPerIp=true
Session\\SSRFMitigation=false
Session\\QueueingSystemEnabled=false
Session\\Preallocation=false

[Network]
PortForwardingEnabled=false

[Preferences]
General\\Locale=en
WebUI\\Enabled=true
WebUI\\Address=127.0.0.1
WebUI\\Port=${webPort}
WebUI\\LocalHostAuth=false
WebUI\\CSRFProtection=false
WebUI\\HostHeaderValidation=false
WebUI\\UseUPnP=false
`
  writeFileSync(path.join(config, 'qBittorrent.conf'), settings)
  const running = start(name, ['qbittorrent-nox', `--profile=${profile}`], {
    place,
    env: { HOME: workFolder }
  })
  const url = `http://127.0.0.1:${webPort}/api/v2`
  await until(
    'qBittorrent to answer',
    async () => (await request(place, `${url}/app/version`)).status === 200,
    {
      programs: [running]
    }
  )
  const daemon = { running, url }
  if (finding?.dht !== undefined) await joinDht(daemon, place, finding.dht, workFolder)
  return daemon
}

/**
 * Introduces it to a DHT node. It takes nodes only from torrents, and a torrent added before it knows a node is
 * not announced again for a quarter of an hour. So a torrent without peers brings the node, and is removed.
 */
async function joinDht(daemon: Daemon, place: Place, node: string, workFolder: string): Promise<void> {
  const torrentPath = path.join(workFolder, 'dht-node.torrent')
  writeTorrentOfNode(node, torrentPath)
  await add(daemon, place, { torrentPath }, workFolder)
  await until(
    'qBittorrent to join the DHT',
    async () => {
      const reply = await request(place, `${daemon.url}/transfer/info`)
      return reply.status === 200 && (JSON.parse(reply.body) as { dht_nodes: number }).dht_nodes > 0
    },
    { programs: [daemon.running] }
  )
  await request(place, `${daemon.url}/torrents/delete`, { fields: { hashes: 'all', deleteFiles: 'true' } })
  await until(
    'qBittorrent to forget the torrent',
    async () => (await request(place, `${daemon.url}/torrents/info`)).body === '[]',
    { programs: [daemon.running] }
  )
}

async function add(
  daemon: Daemon,
  place: Place,
  source: { readonly torrentPath: string; readonly magnet?: string | undefined },
  folder: string
): Promise<void> {
  const reply = await request(place, `${daemon.url}/torrents/add`, {
    fields: {
      savepath: folder,
      autoTMM: 'false',
      paused: 'false',
      root_folder: 'true',
      contentLayout: 'Original',
      ...(source.magnet === undefined ? {} : { urls: source.magnet })
    },
    ...(source.magnet === undefined ? { files: { torrents: source.torrentPath } } : {})
  })
  if (reply.body !== 'Ok.') throw new Error(`qBittorrent answered ${reply.status}: ${reply.body}`)
}

async function isComplete(daemon: Daemon, place: Place): Promise<boolean> {
  const reply = await request(place, `${daemon.url}/torrents/info`)
  if (reply.status !== 200) return false
  const [torrent] = JSON.parse(reply.body) as { state: string; progress: number }[]
  return (
    torrent !== undefined &&
    torrent.progress === 1 &&
    ['uploading', 'stalledUP', 'forcedUP'].includes(torrent.state)
  )
}

/** qbittorrent-nox, driven over its web API. */
export const qbittorrent: RealPeer = {
  name: 'qBittorrent',
  needed: ['qbittorrent-nox'],
  needsNamespaces: false,
  speaksUdp: true,
  keepsNames: true,
  createsEmptyFiles: true,
  ciphers: ['none', 'rc4'],

  async seed(task: SeedTask): Promise<Running> {
    const { place } = task
    const daemon = await launch('qBittorrent seeder', task)
    await add(daemon, place, task, task.dataFolder)
    await until('qBittorrent to seed', () => isComplete(daemon, place), { programs: [daemon.running] })
    return daemon.running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const { place } = task
    const daemon = await launch('qBittorrent leecher', task)
    await add(daemon, place, task, task.outFolder)
    const done = until('qBittorrent to finish', () => isComplete(daemon, place), {
      timeoutMs: 300_000,
      everyMs: 300,
      programs: [daemon.running]
    })
    return { ...daemon.running, done }
  }
}
