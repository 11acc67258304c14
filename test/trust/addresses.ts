import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { encode } from '../../lib/bencode/encode.ts'
import { parseCommandLine } from '../../lib/cli/command-line.ts'
import { downloadOptions } from '../../lib/cli/shared-options.ts'
import { readAddOptions } from '../../lib/cli/source-argument.ts'
import { DhtService } from '../../lib/client/dht-service.ts'
import { resolveSource } from '../../lib/client/source.ts'
import { isPlausible } from '../../lib/dht/lookup.ts'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import { isOnLocalNetwork } from '../../lib/discovery/local-network.ts'
import type { PeerSource } from '../../lib/discovery/peer-source.ts'
import { usableAddresses } from '../../lib/discovery/remote-addresses.ts'
import { parseMagnet } from '../../lib/metainfo.ts'
import type { DatagramPort } from '../../lib/net/datagram-port.ts'
import { localInterfaces } from '../../lib/net/local-interfaces.ts'
import { Network } from '../../lib/net/network.ts'
import { systemHostLookup } from '../../lib/net/resolve-host.ts'
import { httpAnnounce } from '../../lib/tracker/http-tracker.ts'
import { formatAddress, type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import type { IpScope } from '../../lib/util/ip-scope.ts'
import { until } from '../support/until.ts'
import { httpTracker } from '../tracker/http-server.ts'
import { addFromPage } from './page.ts'
import { hash, odd } from './support.ts'
import { cell } from './table.ts'

/** Addresses of each column. The neighbour is in the network of the only interface. */
const hosts = {
  loopback: ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1'],
  neighbour: ['192.168.7.9'],
  private: ['10.1.1.1', '192.168.8.9', '169.254.169.254', '100.64.0.1', 'fd00::9', '64:ff9b::a00:1'],
  public: ['9.9.9.9', '2a03::2'],
  name: ['localhost', 'peer.example', '2130706433', 'http://127.0.0.1/announce', '../../x']
} as const
type Column = keyof typeof hosts
const columns = Object.keys(hosts) as Column[]
const port = 11211

/** Runs `run` with one interface besides loopback, in 192.168.7.0/24. */
function withInterface<T>(run: () => T): T {
  const { networkInterfaces } = os
  const one = { netmask: '', mac: '', scopeid: 0 }
  os.networkInterfaces = () => ({
    lo: [{ ...one, family: 'IPv4', address: '127.0.0.1', cidr: '127.0.0.1/8', internal: true }],
    eth0: [{ ...one, family: 'IPv4', address: '192.168.7.5', cidr: '192.168.7.5/24', internal: false }]
  })
  syncBuiltinESMExports()
  try {
    return run()
  } finally {
    os.networkInterfaces = networkInterfaces
    syncBuiltinESMExports()
  }
}

/** Returns the hosts that a torrent accepts from a source. */
function taken(
  source: PeerSource,
  offered: readonly string[],
  { toldBy, scope }: { toldBy?: string; scope?: 'loopback' } = {}
): string[] {
  const book = new AddressBook({ random: () => 0 })
  return offered.filter((host) => book.add({ host, port }, source, 0, toldBy, scope))
}

/** Returns the hosts of a magnet link that a client on `host` accepts. */
function takenOfMagnet(offered: readonly PeerAddress[], host?: string): string[] {
  const usable = withInterface(() => usableAddresses(offered, host))
  return taken(
    'magnet',
    usable.map((peer) => peer.host)
  )
}

function asPeers(list: readonly string[]): PeerAddress[] {
  return list.map((host) => ({ host, port }))
}

/** Returns a magnet link that names these peers. */
function magnetOf(list: readonly string[]): string {
  return `magnet:?xt=urn:btih:${hash}${list.map((host) => `&x.pe=${host.includes(':') ? `[${host}]` : host}:${port}`).join('')}`
}

/** Returns where the DHT of a client on `host` sends pings for the nodes of a torrent. */
async function pinged(host: string | undefined, list: readonly string[]): Promise<string[]> {
  const sent = new Set<string>()
  const ports = ([4, 6] as const).map(
    (family): DatagramPort =>
      ({
        family,
        port: 1,
        send: (_message: Uint8Array, to: PeerAddress) => void sent.add(to.host),
        claim: () => () => {},
        close: async () => {}
      }) as unknown as DatagramPort
  )
  const dht = new DhtService({
    ports: Promise.resolve(ports),
    host,
    stateFolder: undefined,
    lookup: systemHostLookup,
    bootstrap: [],
    tcpPort: () => 0,
    onAddress: () => {},
    onWarning: () => {}
  })
  const control = host === undefined ? '9.9.9.8' : '127.0.0.99'
  withInterface(() => {
    for (const node of list) dht.addNode({ host: node, port }, 'remote')
    dht.addNode({ host: control, port }, 'program')
  })
  await until('the datagram to the control address', () => sent.has(control))
  await dht.close()
  sent.delete(control)
  return [...sent]
}

/** Returns the hosts that a tracker in this scope may name. */
async function takenOfTracker(scope: IpScope, list: readonly string[]): Promise<string[]> {
  const peers = list.map((ip) => ({ ip, port }))
  await using tracker = await httpTracker((_request, response) =>
    response.end(encode({ interval: 900, peers }))
  )
  const reply = await httpAnnounce(new Network().http, new URL(tracker.url), odd.parameters, {
    scopeOf: () => scope
  })
  return taken(
    'tracker',
    reply.peers.map(({ host }) => host)
  )
}

/** The normal spelling of a host. */
const plain: Readonly<Record<string, string>> = { '::ffff:127.0.0.1': '127.0.0.1' }
const spelt = (list: readonly string[]): string[] => [...new Set(list.map((host) => plain[host] ?? host))]

/** Tests the cells of dialled addresses. */
export function addressCells(): void {
  for (const column of columns) {
    const list = hosts[column]
    const isLoopback = column === 'loopback'
    const ofMagnet = (offered: readonly PeerAddress[]): void => {
      const far = takenOfMagnet(offered)
      assert.deepEqual(far, column === 'neighbour' || column === 'public' ? list : [])
      if (isLoopback) assert.equal(takenOfMagnet(offered, '127.0.0.1').length, spelt(list).length)
    }

    cell('program', column, () => assert.deepEqual(taken('manual', list).length, spelt(list).length))
    cell('command line', column, () => {
      const names = list.filter((host) => !/[/]/.test(host))
      const args = names.flatMap((host) => ['--peer', formatAddress({ host, port })])
      const { peers = [] } = readAddOptions(parseCommandLine('download', downloadOptions, ['x', ...args]))
      assert.deepEqual(
        taken(
          'manual',
          peers.map((peer) => (typeof peer === 'string' ? parseAddress(peer) : peer).host)
        ).length,
        spelt(names).length
      )
    })
    cell('page with token', column, async (t) => {
      const { link, options } = await addFromPage(t, magnetOf(list), {
        peers: asPeers(list),
        trackers: ['x']
      })
      assert.deepEqual([options.peers, options.trackers], [undefined, undefined])
      ofMagnet(link?.peers ?? assert.fail())
    })
    cell('page without token', column, async (t) => {
      const { status, link } = await addFromPage(t, magnetOf(list), {}, { token: 'abc' })
      assert.deepEqual([status, link], [401, undefined])
    })
    cell('magnet', column, () => ofMagnet(parseMagnet(magnetOf(list)).peers))
    cell('torrent', column, async () => {
      const info = { length: 1, name: 'a', 'piece length': 16384, pieces: new Uint8Array(20) }
      const peers = asPeers(list).map((peer) => ({ ip: peer.host, port: peer.port }))
      const nodes = list.map((host) => [host, port])
      const resolved = await resolveSource(
        new Network(),
        encode({ info, nodes, peers, 'x.pe': magnetOf(list) })
      )
      assert.deepEqual(resolved.peers, [])
      const far = await pinged(undefined, list)
      assert.deepEqual(far.sort(), column === 'neighbour' || column === 'public' ? [...list].sort() : [])
      if (isLoopback) assert.deepEqual(await pinged('127.0.0.1', ['127.0.0.1', '::1']), ['127.0.0.1', '::1'])
    })
    cell('tracker', column, async () => {
      const [far, near, here] = await Promise.all([
        takenOfTracker('global', list),
        takenOfTracker('private', list),
        takenOfTracker('loopback', list)
      ])
      const all = column === 'name' ? [] : spelt(list)
      assert.deepEqual(far, column === 'public' ? list : [])
      assert.deepEqual(near, isLoopback ? [] : all)
      assert.deepEqual(here, all)
    })
    cell('dht', column, () => {
      for (const [from, reach] of [
        ['9.9.9.9', ['public']],
        ['10.0.0.1', ['public', 'neighbour', 'private']],
        ['127.0.0.1', ['public', 'neighbour', 'private', 'loopback']]
      ] as const) {
        const told = asPeers(list).filter(
          (peer) => column === 'name' || isPlausible(peer, { host: from, port })
        )
        const got = taken(
          'dht',
          told.map(({ host }) => host),
          { scope: 'loopback' }
        )
        assert.deepEqual(got, (reach as readonly string[]).includes(column) ? spelt(list) : [], from)
      }
    })
    cell('pex', column, () => {
      for (const [toldBy, reach] of [
        ['9.9.9.9', ['public']],
        ['10.0.0.1', ['public', 'neighbour', 'private']],
        ['127.0.0.1', ['public', 'neighbour', 'private', 'loopback']]
      ] as const) {
        const got = taken('pex', list, { toldBy })
        assert.deepEqual(got, (reach as readonly string[]).includes(column) ? spelt(list) : [], toldBy)
      }
    })
    cell('lsd', column, () => {
      withInterface(() => {
        const heard = (host?: string): string[] =>
          list.filter(
            (one) => isOnLocalNetwork(one, localInterfaces(4, host)) && taken('lsd', [one]).length > 0
          )
        assert.deepEqual(heard(), column === 'neighbour' || column === 'private' ? list : [])
        assert.deepEqual(heard('127.0.0.1'), isLoopback ? list : [])
        if (column === 'public') {
          const [own] = localInterfaces(4)
          assert.ok(own !== undefined)
          assert.ok(isOnLocalNetwork('9.9.9.9', [{ ...own, address: '9.9.9.1' }]))
        }
      })
    })
  }
}
