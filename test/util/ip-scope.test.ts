import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ipScope } from '../../lib/util/ip-scope.ts'

const table = {
  loopback: [
    '127.0.0.1',
    '127.255.0.9',
    '0.0.0.0',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::'
  ],
  private: [
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '192.0.0.8',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '::ffff:10.1.2.3',
    '64:ff9b::a00:1',
    'tracker.example'
  ],
  global: [
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '192.0.3.1',
    '2606:4700::1',
    '::ffff:8.8.8.8',
    '2002:808:808::'
  ]
} as const

for (const [scope, hosts] of Object.entries(table)) {
  test(`${scope} addresses are recognized`, () => {
    for (const host of hosts) assert.equal(ipScope(host), scope, host)
  })
}
