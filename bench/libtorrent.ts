// The Python binding of libtorrent (Debian: python3-libtorrent) as seeders and as a player.
import { spawnSync } from 'node:child_process'

/** Debian's own Python, for which Debian's modules are built; another one may precede it on the PATH. */
const candidates = ['/usr/bin/python3', 'python3']

/** Returns the Python that can import libtorrent, or undefined. */
export function findLibtorrent(): string | undefined {
  return candidates.find((python) => spawnSync(python, ['-c', 'import libtorrent']).status === 0)
}

// TCP only: both ends prefer uTP, which is slow on loopback. No dialling, so that no connection bypasses the links. Small buffers,
// so that a block that has not left a slow peer can still be cancelled.
/** Seeders on free ports: `python3 -c <this> '{"torrent", "folder", "count"}'`; prints their ports as JSON once all seed. */
export const libtorrentSeeders = `
import json, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
keep = []
for n in range(task['count']):
  session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
    'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'alert_mask': 0, 'ssrf_mitigation': False,
    'allow_multiple_connections_per_ip': True, 'connection_speed': 0, 'choking_algorithm': 0, 'unchoke_slots_limit': 50,
    'send_socket_buffer_size': 32768, 'send_buffer_watermark': 32768, 'send_buffer_low_watermark': 16384,
    'send_buffer_watermark_factor': 10})
  params = lt.add_torrent_params()
  params.ti = lt.torrent_info(task['torrent'])
  params.save_path = task['folder']
  params.trackers = []
  params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
  params.flags |= lt.torrent_flags.seed_mode | lt.torrent_flags.override_trackers
  handle = session.add_torrent(params)
  handle.replace_trackers([])
  keep.append((session, handle))
while not all(handle.status().is_seeding and session.listen_port() for session, handle in keep): time.sleep(0.02)
print(json.dumps([session.listen_port() for session, handle in keep]), flush=True)
while sys.stdin.read(1): pass
`

/** Plays by piece deadlines: `python3 -c <this> '<PlayTask>'`, with \`ports\` to connect to; prints a PlayReport. */
export const libtorrentPlayer = `
import json, os, resource, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
rate, seconds, mebibyte = task['bytesPerSecond'], task['seconds'], 1 << 20
session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
  'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'alert_mask': 0, 'ssrf_mitigation': False,
  'allow_multiple_connections_per_ip': True})
params = lt.add_torrent_params()
info = params.ti = lt.torrent_info(task['torrent'])
params.save_path = task['folder']
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
params.flags |= lt.torrent_flags.override_trackers
began = time.time()
handle = session.add_torrent(params)
handle.replace_trackers([])
for port in task['ports']: handle.connect_peer(('127.0.0.1', port))
length, piece_length, count = info.total_size(), info.piece_length(), info.num_pieces()
read = []
def play(start, clicked):
  handle.clear_piece_deadlines()
  cursor, asked, played = start, start // piece_length, 0.0
  first = last = end = None
  stalls, stalled_ms, stalled = 0, 0.0, False
  while True:
    now = time.time()
    window = min(count, int((start + (played + 10) * rate) // piece_length) + 1)
    while asked < window:
      handle.set_piece_deadline(asked, int(max(0, ((asked * piece_length - start) / rate - played) * 1000)))
      asked += 1
    while cursor < length and cursor < window * piece_length and handle.have_piece(cursor // piece_length):
      cursor = min(length, (cursor // piece_length + 1) * piece_length)
    if cursor - start >= mebibyte and first is None: first, last, end = (now - clicked) * 1000, now, now + seconds
    if first is not None:
      step, last = now - last, now
      if cursor - start >= (played + step) * rate: played, stalled = played + step, False
      else:
        stalled_ms += step * 1000
        stalls += not stalled
        stalled = True
      if now >= end: break
    elif now - clicked > 60: break
    time.sleep(0.01)
  read.append((start, cursor))
  return {'firstMebibyteMs': None if first is None else round(first), 'stalls': stalls, 'stallMs': round(stalled_ms), 'readBytes': cursor - start}
first = play(0, began)
second = play(int(length * task['seekTo']), time.time())
usage = resource.getrusage(resource.RUSAGE_SELF)
wrong = compared = 0
handle.flush_cache()
time.sleep(0.5)
with open(os.path.join(task['folder'], info.files().file_path(0)), 'rb') as mine, open(task['original'], 'rb') as original:
  for start, end in read:
    mine.seek(start); original.seek(start)
    wrong += mine.read(end - start) != original.read(end - start)
    compared += end - start
print(json.dumps({'start': first, 'seek': second, 'cpuSeconds': usage.ru_utime + usage.ru_stime, 'comparedBytes': compared, 'wrongChunks': wrong}), flush=True)
os._exit(0)
`

// Large buffers, as in libtorrent's defaults, and unlimited unchoke slots.
/** A seeder at full speed: `python3 -c <this> '{"torrent", "folder"}'`; prints its port as a JSON list once it seeds. */
export const libtorrentFullSeeder: string = `
import json, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
  'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'alert_mask': 0, 'ssrf_mitigation': False,
  'allow_multiple_connections_per_ip': True, 'connection_speed': 0, 'choking_algorithm': 0, 'unchoke_slots_limit': 50})
params = lt.add_torrent_params()
params.ti = lt.torrent_info(task['torrent'])
params.save_path = task['folder']
params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
params.flags |= lt.torrent_flags.seed_mode | lt.torrent_flags.override_trackers | lt.torrent_flags.disable_pex
handle = session.add_torrent(params)
handle.replace_trackers([])
while not (handle.status().is_seeding and session.listen_port()): time.sleep(0.02)
print(json.dumps([session.listen_port()]), flush=True)
while sys.stdin.read(1): pass
`

// Plain TCP from the start: encrypted dials of a seeder without encryption would be retried only later. They know only the seeder.
/**
 * Leechers that know the seeder and not each other: `python3 -c <this> '{"torrent", "folder", "count", "port"}'`; each saves to a
 * numbered subfolder. Prints `true` when they are ready, starts when a line arrives, and prints the seconds until all are complete.
 */
export const libtorrentLeechers: string = `
import json, os, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
keep = []
for n in range(task['count']):
  session = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False,
    'enable_natpmp': False, 'enable_outgoing_utp': False, 'enable_incoming_utp': False, 'alert_mask': 0, 'ssrf_mitigation': False,
    'allow_multiple_connections_per_ip': True, 'out_enc_policy': 2, 'in_enc_policy': 2})
  params = lt.add_torrent_params()
  params.ti = lt.torrent_info(task['torrent'])
  params.save_path = os.path.join(task['folder'], str(n))
  os.makedirs(params.save_path)
  params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
  params.flags |= lt.torrent_flags.override_trackers | lt.torrent_flags.disable_pex
  handle = session.add_torrent(params)
  handle.replace_trackers([])
  keep.append((session, handle))
while not all(handle.status().state == lt.torrent_status.downloading for session, handle in keep): time.sleep(0.02)
print('true', flush=True)
sys.stdin.readline()
began = time.time()
for session, handle in keep: handle.connect_peer(('127.0.0.1', task['port']))
while not all(handle.status().is_seeding for session, handle in keep): time.sleep(0.01)
print(json.dumps(time.time() - began), flush=True)
os._exit(0)
`
