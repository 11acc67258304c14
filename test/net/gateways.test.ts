import assert from 'node:assert/strict'
import test from 'node:test'
import { parseRoutes } from '../../lib/net/gateways.ts'

const head =
  'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT                                                       \n'

test('default routes through a router are read, the best first', () => {
  const table = [
    'wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0',
    'eth0\t00000000\tFE00000A\t0003\t0\t0\t100\t00000000\t0\t0\t0',
    'eth0\t0000000A\t00000000\t0001\t0\t0\t100\t000000FF\t0\t0\t0',
    'tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0',
    'tun1\t00000000\t0101A8C0\t0003\t0\t0\t50\t00000080\t0\t0\t0',
    'down0\t00000000\t0101A8C0\t0002\t0\t0\t50\t00000000\t0\t0\t0'
  ]
  assert.deepEqual(parseRoutes(`${head}${table.join('\n')}\n`, true), [
    { name: 'eth0', gateway: '10.0.0.254', metric: 100 },
    { name: 'wlan0', gateway: '192.168.1.1', metric: 600 }
  ])
})

test('the table has the byte order of the machine', () => {
  const table = `${head}eth0\t00000000\tC0A80101\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`
  assert.equal(parseRoutes(table, false)[0]?.gateway, '192.168.1.1')
})
