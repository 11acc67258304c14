import { fileURLToPath } from 'node:url'
import { type Asked, startAsked } from '../support/asked.ts'
import { systemPython } from '../support/need.ts'
import type { Place } from '../support/process.ts'

/** The UDP port of every node of a crowd; each has an address of its own. */
export const crowdPort = 6881

/** Input of the child program; see `run-dht-crowd.ts`. */
export interface CrowdTask {
  /** The address of each node. */
  readonly hosts: readonly string[]
  readonly port: number
}

/** An announced peer. */
export interface Sought {
  /** 40 hexadecimal digits. */
  readonly infoHash: string
  /** `host:port`. */
  readonly peer: string
}

/** A command to the child program. */
export type CrowdQuestion =
  | { readonly do: 'announce'; readonly number: number; readonly infoHash: string }
  | { readonly do: 'find'; readonly sought: readonly Sought[]; readonly only?: number | undefined }
  | { readonly do: 'kill'; readonly numbers: readonly number[] }
  | { readonly do: 'count' }

/** The result of all nodes' look-ups for all announced peers. */
export interface CrowdFound {
  readonly looks: number
  /** Look-ups that ended without the peer. */
  readonly missing: readonly { readonly number: number; readonly peer: string }[]
  readonly ms: number
}

/** The result with hops. */
export interface OurFound extends CrowdFound {
  /** The most hops to the closest nodes. */
  readonly mostHops: number
  readonly meanHops: number
  readonly meanQuestions: number
}

/** Packets sent by the nodes, and sizes of their tables. */
export interface CrowdCount {
  /** Packets since the start of all nodes, by method; `answer` for answers. */
  readonly sent: Readonly<Record<string, number>>
  /** Number of nodes that each knows. */
  readonly sizes: readonly number[]
}

/** DHT nodes in one process. */
export interface DhtCrowd {
  readonly running: Asked
  /**
   * Announces a peer at a node's own address and {@link crowdPort}. Resolves to the number of nodes that
   * stored it, 0 if unknown.
   */
  announce(number: number, infoHash: string): Promise<number>
  /** Lets every node look up everything. */
  find(sought: readonly Sought[]): Promise<CrowdFound>
  count(): Promise<CrowdCount>
}

/** A crowd of our nodes. */
export interface OurCrowd extends DhtCrowd {
  /** Lets every node look up everything, or only one. */
  find(sought: readonly Sought[], only?: number): Promise<OurFound>
  /** Removes nodes silently. Resolves to the number of nodes left. */
  kill(numbers: readonly number[]): Promise<number>
}

const program = fileURLToPath(new URL('../run-dht-crowd.js', import.meta.url))

/** Starts one of our nodes at each address. The first answers come when they know each other. */
export async function startCrowd(place: Place, hosts: readonly string[]): Promise<OurCrowd> {
  const task: CrowdTask = { hosts, port: crowdPort }
  const running = startAsked('our DHT nodes', [process.execPath, program, JSON.stringify(task)], { place })
  const ask = (question: CrowdQuestion, timeoutMs?: number): Promise<unknown> =>
    running.ask({ question }, timeoutMs)
  return {
    running,
    announce: (number, infoHash) => ask({ do: 'announce', number, infoHash }) as Promise<number>,
    find: (sought, only) => ask({ do: 'find', sought, only }, 240_000) as Promise<OurFound>,
    kill: (numbers) => ask({ do: 'kill', numbers }) as Promise<number>,
    count: () => ask({ do: 'count' }) as Promise<CrowdCount>
  }
}

const script = `
import json, select, sys, time, libtorrent as lt
task = json.loads(sys.argv[1])
def begin(host):
  return lt.session({'listen_interfaces': '%s:%d' % (host, task['port']), 'enable_dht': True, 'dht_bootstrap_nodes': task['bootstrap'],
    'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'alert_mask': lt.alert.category_t.dht_operation_notification | lt.alert.category_t.dht_notification | lt.alert.category_t.error_notification | lt.alert.category_t.stats_notification})
sessions = [begin(host) for host in task['hosts']]
names = [metric.name for metric in lt.session_stats_metrics()]
stats = [None] * len(sessions)
finds = []
def say(number, answer): print(json.dumps({'number': number, 'answer': answer}, separators=(',', ':')), flush=True)
def get(infoHash): return lt.sha1_hash(bytes.fromhex(infoHash))
def hear():
  for n, session in enumerate(sessions):
    for alert in session.pop_alerts():
      if isinstance(alert, lt.dht_get_peers_reply_alert):
        infoHash = str(alert.info_hash)
        for host, port in alert.peers():
          for find in finds: find['left'].discard((n, infoHash, '%s:%d' % (host, port)))
      elif isinstance(alert, lt.session_stats_alert):
        values = alert.values
        stats[n] = {name: values[name] for name in values if name.startswith('dht.')}
      elif alert.category() & lt.alert.category_t.error_notification: print(n, alert.what(), alert.message(), file=sys.stderr)
def counted():
  for n, session in enumerate(sessions):
    stats[n] = None
    session.post_session_stats()
  while None in stats:
    hear()
    time.sleep(0.02)
  return stats
lines = open(0, 'rb', 0)
while True:
  if select.select([lines], [], [], 0.05)[0]:
    line = lines.readline()
    if line == b'': break
    message = json.loads(line)
    number, question = message['number'], message['question']
    if question['do'] == 'announce':
      params = lt.parse_magnet_uri('magnet:?xt=urn:btih:' + question['infoHash'])
      params.save_path = '/tmp'
      params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
      sessions[question['number']].add_torrent(params)
      say(number, 0)
    elif question['do'] == 'find':
      left = set((n, one['infoHash'], one['peer']) for n in range(len(sessions)) for one in question['sought'])
      finds.append({'number': number, 'looks': len(left), 'left': left, 'began': time.monotonic()})
      for n, infoHash, _ in left: sessions[n].dht_get_peers(get(infoHash))
    else: say(number, counted())
  hear()
  for find in finds[:]:
    passed = time.monotonic() - find['began']
    if find['left'] and passed < 20: continue
    finds.remove(find)
    say(find['number'], {'looks': find['looks'], 'ms': passed * 1000, 'missing': [{'number': n, 'peer': peer} for n, _, peer in find['left']]})
`

/** Starts a libtorrent session with default settings at each address, in one process. */
export function startLibtorrentCrowd(
  place: Place,
  hosts: readonly string[],
  bootstrap: readonly string[]
): DhtCrowd {
  const task = { hosts, port: crowdPort, bootstrap: bootstrap.join(',') }
  const running = startAsked(
    'libtorrent DHT nodes',
    [systemPython, '-u', '-c', script, JSON.stringify(task)],
    {
      place
    }
  )
  const ask = (question: CrowdQuestion): Promise<unknown> => running.ask({ question })
  return {
    running,
    announce: (number, infoHash) => ask({ do: 'announce', number, infoHash }) as Promise<number>,
    find: (sought) => ask({ do: 'find', sought }) as Promise<CrowdFound>,
    async count() {
      const stats = (await ask({ do: 'count' })) as Record<string, number>[]
      const sum = (name: string): number =>
        stats.reduce((total, one) => total + (one[`dht.dht_${name}`] ?? 0), 0)
      const methods = ['ping', 'find_node', 'get_peers', 'announce_peer', 'sample_infohashes', 'get', 'put']
      const questions = methods.map((method) => [method, sum(`${method}_out`)] as const)
      const answer = sum('messages_out') - questions.reduce((total, [, count]) => total + count, 0)
      return {
        sent: { ...Object.fromEntries(questions), answer },
        sizes: stats.map((one) => one['dht.dht_nodes'] ?? 0)
      }
    }
  }
}
