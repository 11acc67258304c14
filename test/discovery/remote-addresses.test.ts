import assert from 'node:assert/strict'
import test from 'node:test'
import { usableAddresses } from '../../lib/discovery/remote-addresses.ts'
import type { LocalInterface } from '../../lib/net/local-interfaces.ts'

const lan: LocalInterface = {
  name: 'eth0',
  address: '192.168.7.5',
  prefixLength: 24,
  internal: false,
  multicastName: '192.168.7.5'
}
const lan6: LocalInterface = {
  name: 'eth0',
  address: 'fe80::5',
  prefixLength: 64,
  internal: false,
  multicastName: '::%eth0'
}
const loopback: LocalInterface = {
  name: 'lo',
  address: '127.0.0.1',
  prefixLength: 8,
  internal: true,
  multicastName: '127.0.0.1'
}

for (const [peer, host, there, may] of [
  ['9.9.9.9', undefined, [lan], true],
  ['2a03::2', undefined, [lan], true],
  ['127.0.0.1', undefined, [lan], false],
  ['127.0.0.1', '192.168.7.5', [lan], false],
  ['127.0.0.1', '0.0.0.0', [lan, loopback], false],
  ['127.0.0.1', '127.0.0.1', [loopback], true],
  ['127.9.9.9', '::1', [loopback], true],
  ['::1', '127.0.0.1', [loopback], true],
  ['::1', undefined, [lan], false],
  ['::ffff:127.0.0.1', undefined, [lan], false],
  ['64:ff9b::7f00:1', undefined, [lan], false],
  ['0.0.0.0', undefined, [lan], false],
  ['0.0.0.0', '127.0.0.1', [loopback], false],
  ['::', undefined, [lan], false],
  ['255.255.255.255', undefined, [lan], false],
  ['224.0.0.1', undefined, [lan], false],
  ['localhost', '127.0.0.1', [loopback], false],
  ['localhost', undefined, [lan], false],
  ['peer.example', undefined, [lan], false],
  ['2130706433', undefined, [lan], false],
  ['192.168.7.9', undefined, [lan], true],
  ['::ffff:192.168.7.9', undefined, [lan], true],
  ['192.168.8.9', undefined, [lan], false],
  ['10.0.0.1', undefined, [lan], false],
  ['192.168.7.9', '127.0.0.1', [loopback], false],
  ['169.254.169.254', undefined, [lan], false],
  ['169.254.1.1', undefined, [{ ...lan, address: '169.254.3.3', prefixLength: 16 }], true],
  ['fe80::9%eth0', undefined, [lan, lan6], true],
  ['fe80::9%eth1', undefined, [lan, lan6], false],
  ['fe80::9', undefined, [lan, lan6], false],
  ['fd00::9', undefined, [lan, lan6], false],
  ['fd00::9', undefined, [{ ...lan6, address: 'fd00::1' }], true]
] as const) {
  test(`a magnet link ${may ? 'may' : 'may not'} have ${peer} dialled by a client on ${host ?? 'all addresses'} with ${there.map(({ address }) => address)}`, () => {
    const peers = usableAddresses([{ host: peer, port: 11211 }], host, () => there)
    assert.equal(peers.length === 1, may)
  })
}
