import assert from 'node:assert/strict'
import test from 'node:test'
import { listenOptions } from '../../lib/server/listen-options.ts'

test('every form of the arguments of listen is accepted, and no host means loopback', () => {
  const callback = (): void => {}
  const host = '127.0.0.1'
  const table: readonly (readonly [args: readonly unknown[], options: object])[] = [
    [[], { port: 0, host }],
    [[callback], { port: 0, host }],
    [[8080, callback], { port: 8080, host }],
    [['8080'], { port: 8080, host }],
    [[8080, '::', 5, callback], { port: 8080, host: '::', backlog: 5 }],
    [[8080, 5], { port: 8080, host, backlog: 5 }],
    [['/run/socket', callback], { path: '/run/socket' }],
    [[{ path: '/run/socket' }], { path: '/run/socket' }],
    [[{ fd: 3 }], { fd: 3 }],
    [[{ port: 80, backlog: 2 }], { port: 80, backlog: 2, host }],
    [[{ port: 80, host: '0.0.0.0' }], { port: 80, host: '0.0.0.0' }]
  ]
  for (const [args, options] of table) assert.deepEqual(listenOptions(args), options)
})
