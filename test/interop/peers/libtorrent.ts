import { until } from '../../support/until.ts'
import { systemPython } from '../support/need.ts'
import { type Running, start } from '../support/process.ts'
import type { Cipher, Leeching, LeechTask, RealPeer, SeedTask } from './real-peer.ts'

// TCP only: both ends of libtorrent prefer uTP, which is no help on a link without loss.
const script = `
import json, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
session = lt.session({'listen_interfaces': '%s:%d' % (task['host'], task['port']), 'enable_dht': task['dht'] != '', 'dht_bootstrap_nodes': task['dht'],
  'dht_announce_interval': 3, 'dht_restrict_routing_ips': False, 'dht_restrict_search_ips': False, 'enable_lsd': task['lsd'],
  **task['encryption'], 'enable_upnp': False, 'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False,
  'allow_multiple_connections_per_ip': True, 'ssrf_mitigation': False, 'close_redundant_connections': True,
  'min_reconnect_time': 1, 'alert_mask': lt.alert.category_t.error_notification | lt.alert.category_t.peer_notification | lt.alert.category_t.connect_notification})
params = lt.parse_magnet_uri(task['magnet']) if task['magnet'] else lt.add_torrent_params()
if not task['magnet']: params.ti = lt.torrent_info(task['torrent'])
params.save_path = task['folder']
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
handle = session.add_torrent(params)
if task['uploadLimit'] > 0: handle.set_upload_limit(task['uploadLimit'])
if task['downloadLimit'] > 0: handle.set_download_limit(task['downloadLimit'])
seeding = False
sent = 0
while True:
  for alert in session.pop_alerts(): print(alert.what(), alert.message(), file=sys.stderr)
  status = handle.status()
  if status.is_seeding and not seeding:
    seeding = True
    print('seeding', flush=True)
  if status.total_payload_upload != sent:
    sent = status.total_payload_upload
    print('sent', sent, flush=True)
  time.sleep(0.05)
`

// Policies are 0 for forced, 1 for enabled and 2 for disabled; levels are 1 for the handshake and 2 for RC4.
const encryption: Record<Cipher | 'any', object> = {
  any: {},
  none: { out_enc_policy: 2, in_enc_policy: 2 },
  handshake: { out_enc_policy: 0, in_enc_policy: 0, allowed_enc_level: 1 },
  rc4: { out_enc_policy: 0, in_enc_policy: 0, allowed_enc_level: 2, prefer_rc4: true }
}

function launch(
  name: string,
  { torrentPath, place, port, finding, ...rest }: SeedTask | LeechTask,
  folder: string
): { running: SendingPeer; seeding: () => boolean } {
  let seeding = false
  let sent = 0
  let sentAt = 0
  const task = {
    torrent: torrentPath,
    magnet: 'magnet' in rest ? rest.magnet : '',
    folder,
    host: place.host,
    port,
    uploadLimit: ('uploadLimit' in rest && rest.uploadLimit) || 0,
    downloadLimit: ('downloadLimit' in rest && rest.downloadLimit) || 0,
    encryption: encryption[rest.cipher ?? 'any'],
    lsd: finding?.lsd ?? false,
    dht: finding?.dht ?? ''
  }
  const running = start(name, [systemPython, '-u', '-c', script, JSON.stringify(task)], {
    place,
    onLine: (line) => {
      if (line === 'seeding') seeding = true
      if (!line.startsWith('sent ')) return
      sent = Number(line.slice('sent '.length))
      sentAt = performance.now()
    }
  })
  const counted = async (): Promise<number> => {
    const from = performance.now()
    const still = (): boolean => performance.now() - Math.max(from, sentAt) > countsEveryMs
    await until('libtorrent to count', still, { programs: [running] })
    return sent
  }
  return { running: { ...running, sent: counted }, seeding: () => seeding }
}

// It sums up the sent bytes of its connections once a second.
const countsEveryMs = 1_200

/** A program that counts its uploads. */
export interface SendingPeer extends Running {
  /**
   * Payload bytes sent so far, including those in transit when a peer left. Call it while nothing downloads:
   * it resolves once the number is stable.
   */
  sent(): Promise<number>
}

/** libtorrent through its Python binding. */
export const libtorrent: Omit<RealPeer, 'seed'> & { seed(task: SeedTask): Promise<SendingPeer> } = {
  name: 'libtorrent',
  needed: ['python3:libtorrent'],
  needsNamespaces: false,
  speaksUdp: true,
  keepsNames: true,
  createsEmptyFiles: true,
  ciphers: ['none', 'handshake', 'rc4'],

  async seed(task: SeedTask): Promise<SendingPeer> {
    const { running, seeding } = launch('libtorrent seeder', task, task.dataFolder)
    await until('libtorrent to seed', seeding, { programs: [running] })
    return running
  },

  async leech(task: LeechTask): Promise<Leeching> {
    const { running, seeding } = launch('libtorrent leecher', task, task.outFolder)
    return {
      ...running,
      done: until('libtorrent to finish', seeding, { timeoutMs: 300_000, programs: [running] })
    }
  }
}
