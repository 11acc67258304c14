import assert from 'node:assert/strict'
import { encode } from '../../lib/bencode/encode.ts'
import { parseCommandLine } from '../../lib/cli/command-line.ts'
import { downloadOptions } from '../../lib/cli/shared-options.ts'
import { readAddOptions } from '../../lib/cli/source-argument.ts'
import { resolveSource } from '../../lib/client/source.ts'
import { AddressBook } from '../../lib/discovery/address-book.ts'
import type { PeerSource } from '../../lib/discovery/peer-source.ts'
import { usableAddresses } from '../../lib/discovery/remote-addresses.ts'
import { parseMagnet } from '../../lib/metainfo.ts'
import { Network } from '../../lib/net/network.ts'
import { type PeerAddress, parseAddress } from '../../lib/util/address.ts'
import { addFromPage } from './page.ts'
import { hash } from './support.ts'
import { cell } from './table.ts'

const count = 50

function portsOf(host: string): PeerAddress[] {
  return Array.from({ length: count }, (_, n) => ({ host, port: 1000 + n }))
}

function magnetOf(host: string): string {
  return `magnet:?xt=urn:btih:${hash}${portsOf(host)
    .map(({ port }) => `&x.pe=${host}:${port}`)
    .join('')}`
}

/** Returns how many of these addresses a torrent accepts from a source. */
function taken(source: PeerSource, peers: readonly PeerAddress[], scope: 'loopback' | 'public'): number {
  const book = new AddressBook({ random: () => 0 })
  for (const peer of peers) book.add(peer, source, 0, undefined, scope)
  return book.size
}

/** Tests the cells of the number of dialled ports of one host. */
export function portCells(): void {
  cell('program', 'ports', () => assert.equal(taken('manual', portsOf('9.9.9.9'), 'public'), count))
  cell('command line', 'ports', () => {
    const args = portsOf('9.9.9.9').flatMap(({ host, port }) => ['--peer', `${host}:${port}`])
    const { peers = [] } = readAddOptions(parseCommandLine('download', downloadOptions, ['x', ...args]))
    const read = peers.map((peer) => (typeof peer === 'string' ? parseAddress(peer) : peer))
    assert.equal(taken('manual', read, 'public'), count)
  })
  cell('page with token', 'ports', async (t) => {
    const { link } = await addFromPage(t, magnetOf('9.9.9.9'), {})
    assert.equal(taken('magnet', usableAddresses(link?.peers ?? [], undefined), 'public'), 4)
  })
  cell('page without token', 'ports', async (t) => {
    const { link } = await addFromPage(t, magnetOf('9.9.9.9'), {}, { token: 'abc' })
    assert.equal(link, undefined)
  })
  cell('magnet', 'ports', () => {
    const far = usableAddresses(parseMagnet(magnetOf('9.9.9.9')).peers, undefined)
    assert.equal(taken('magnet', far, 'public'), 4)
    const here = usableAddresses(parseMagnet(magnetOf('127.0.0.1')).peers, '127.0.0.1')
    assert.equal(taken('magnet', here, 'public'), count)
  })
  cell('torrent', 'ports', async () => {
    const info = { length: 1, name: 'a', 'piece length': 16384, pieces: new Uint8Array(20) }
    const peers = portsOf('9.9.9.9').map(({ host, port }) => ({ ip: host, port }))
    assert.deepEqual((await resolveSource(new Network(), encode({ info, peers }))).peers, [])
  })
  for (const source of ['tracker', 'dht', 'pex', 'lsd'] as const) {
    cell(source, 'ports', () => {
      assert.equal(taken(source, portsOf('9.9.9.9'), 'public'), 4)
      assert.equal(taken(source, portsOf('10.9.9.9'), 'loopback'), 4)
      assert.equal(taken(source, portsOf('127.9.9.9'), 'loopback'), count)
    })
  }
}
