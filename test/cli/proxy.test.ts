import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import test from 'node:test'
import { createTorrent } from '../../lib/metainfo.ts'
import { startSocks } from '../net/socks-server.ts'
import { start, temporaryFolder } from './run-command.ts'

test('info and download read a URL through the proxy', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(path.join(folder, 'film.mkv'), 'film')
  const bytes = await createTorrent(path.join(folder, 'film.mkv'))
  const web = createServer((_request, response) => response.end(bytes))
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')
  const socks = await startSocks({ login: 'me:pw' })
  t.after(() => Promise.all([socks.close(), web.close()]))
  const { port } = web.address() as AddressInfo
  const url = `http://films.example:${port}/film.torrent`
  const proxy = ['--proxy', `socks5://me:pw@127.0.0.1:${socks.port}`]
  const info = start(t, folder, ['info', url, ...proxy])
  assert.equal(await info.ended, 0, info.stderr)
  assert.match(info.stdout, /film\.mkv/)
  const download = start(t, folder, ['download', url, ...proxy, '--host', '127.0.0.1', '--no-dht'])
  assert.equal(await download.ended, 0, download.stderr)
  assert.deepEqual(socks.asked, [`films.example:${port}`, `films.example:${port}`])
})

test('a proxy that cannot be used is refused, without its password', async (t) => {
  const folder = temporaryFolder(t)
  for (const [url, code] of [
    ['ftp://me:sekret@127.0.0.1:1', 2],
    ['socks4a://me:sekret@127.0.0.1:1', 1]
  ] as const) {
    const run = start(t, folder, ['download', 'ab'.repeat(20), '--proxy', url])
    assert.equal(await run.ended, code)
    assert.doesNotMatch(run.stderr + run.stdout, /sekret/)
  }
})
