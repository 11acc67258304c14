// Runs recipes of docs/recipes.md with the programs that they name.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Torrent } from '../../lib/index.ts'
import { bytesOf } from '../cli/seeder.ts'
import { openRecipes, type RecipeScene, recipeCode } from '../support/recipe.ts'
import { until } from '../support/until.ts'
import { piecewise } from './peers/piecewise.ts'
import { freePort } from './peers/real-peer.ts'
import { commandPath, withoutNetwork } from './support/command.ts'
import { temporaryFolder } from './support/data.ts'
import { openPlaces } from './support/namespaces.ts'
import { needs } from './support/need.ts'
import { untilUnread } from './support/partly-there.ts'
import { attempt, type Place, type Running, run, start, within } from './support/process.ts'

/** Seeds a small film with a keyframe each second. */
async function seedFilm(
  t: TestContext,
  seconds: number,
  codec: readonly string[]
): Promise<[RecipeScene, string]> {
  const { folder, remove } = temporaryFolder('film')
  t.after(remove)
  const film = path.join(folder, 'film.mp4')
  run([
    ...['ffmpeg', '-v', 'error', '-nostdin'],
    ...['-f', 'lavfi', '-i', `testsrc2=size=160x90:rate=5:duration=${seconds}`],
    ...['-f', 'lavfi', '-i', `sine=duration=${seconds}`],
    ...['-g', '5', ...codec, '-c:a', 'aac', film]
  ])
  const files = { 'a.txt': bytesOf(100, 1), 'Ein Film, 100 % schön.mp4': readFileSync(film) }
  return [await openRecipes(t, files), film]
}

test('Thumbnails: the picture is the one of the film', needs(['ffmpeg'], 60_000), async (t) => {
  const [scene, film] = await seedFilm(t, 62, ['-c:v', 'mpeg4'])
  const picture = path.join(scene.work, 'thumbnail.jpg')
  writeFileSync(picture, 'an older one')
  const { clients } = await scene.run('Thumbnails with ffmpeg')
  assert.equal(clients[0]?.closed, true)
  const expected = path.join(scene.work, 'expected.jpg')
  run(['ffmpeg', '-nostdin', '-v', 'error', '-ss', '60', '-i', film, '-frames:v', '1', expected])
  assert.ok(readFileSync(picture).equals(readFileSync(expected)))
})

test('HLS: the segments decode to the frames of the film', needs(['ffmpeg'], 60_000), async (t) => {
  const [scene, film] = await seedFilm(t, 20, ['-c:v', 'libx264', '-preset', 'ultrafast'])
  const bin = path.join(scene.work, 'bin')
  mkdirSync(bin)
  const command = [process.execPath, ...withoutNetwork, commandPath].map((word) => `'${word}'`).join(' ')
  const alone = `--host 127.0.0.1 --no-dht --no-lsd --peer ${scene.peer} --state state`
  writeFileSync(
    path.join(bin, 'piecewise'),
    `#!/bin/sh\nname=$1; shift\nexec ${command} "$name" ${alone} "$@"\n`
  )
  chmodSync(path.join(bin, 'piecewise'), 0o755)
  const program = start('the command', ['sh', '-e', '-c', recipeCode('HLS with ffmpeg', 'sh')], {
    cwd: scene.work,
    env: { PATH: `${bin}:${process.env['PATH']}` }
  })
  scene.after(() => program.stop())
  assert.equal(
    await within('HLS', program.exited, { timeoutMs: 30_000, programs: [program] }),
    0,
    program.log()
  )
  const playlist = path.join(scene.work, 'stream.m3u8')
  const text = readFileSync(playlist, 'utf8')
  assert.match(text, /^#EXT-X-PLAYLIST-TYPE:EVENT$/m)
  assert.match(text, /^#EXT-X-ENDLIST$/m)
  assert.ok((text.match(/\.ts$/gm) ?? []).length >= 3, text)
  assert.equal(videoFrames(playlist), videoFrames(film))
})

/** Returns the hash of each decoded picture. */
function videoFrames(input: string): string {
  const { stdout, stderr } = run([
    ...['ffmpeg', '-v', 'error', '-nostdin', '-i', input, '-map', '0:v'],
    ...['-fps_mode', 'passthrough', '-f', 'framehash', '-hash', 'md5', '-']
  ])
  assert.equal(stderr, '')
  const hashes = stdout.split('\n').filter((line) => !line.startsWith('#') && line !== '')
  return hashes.map((line) => line.split(',').at(-1)?.trim()).join('\n')
}

const proxyTitle = 'Behind nginx or Caddy'
const token = 'a long secret'
const filmLength = 30_000_000

/** A server of the recipe behind a proxy that listens on `port`. */
interface Proxied {
  readonly film: Uint8Array
  readonly torrent: Torrent
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<IncomingMessage>
}

/** Runs the recipe's server, and the proxy that `startProxy` starts for its port. */
async function openProxied(
  t: TestContext,
  startProxy: (port: number, folder: string) => Promise<Running>,
  request: (path: string, headers: Readonly<Record<string, string>>) => http.ClientRequest
): Promise<Proxied> {
  const film = bytesOf(filmLength, 4)
  const scene = await openRecipes(t, { 'film.mp4': film })
  const { clients, portOf } = await scene.run(proxyTitle)
  const [client] = clients
  const port = portOf(8080)
  assert.ok(client !== undefined && port !== undefined)
  const torrent = await client.add('movie.torrent')
  const { folder, remove } = temporaryFolder('proxy')
  const proxy = await startProxy(port, folder)
  t.after(async () => {
    await proxy.stop()
    remove()
  })
  const get = async (
    target: string,
    headers: Readonly<Record<string, string>> = {}
  ): Promise<IncomingMessage> => {
    const sent = request(target, headers)
    sent.on('error', () => {})
    sent.end()
    const [response] = await once(sent, 'response')
    response.on('error', () => {})
    return response
  }
  await until(
    'the proxy to listen',
    () =>
      get('/').then(
        ({ statusCode }) => statusCode === 401,
        () => false
      ),
    {
      programs: [proxy]
    }
  )
  return { film, torrent, get }
}

async function bodyOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Checks ranges, the token, a reader that pauses and one that leaves, through a proxy. */
async function checkProxied({ film, torrent, get }: Proxied): Promise<void> {
  const url = `/${torrent.infoHash}/${torrent.files[0]?.path}`
  const authorization = `Bearer ${token}`
  assert.equal((await get(url)).statusCode, 401)
  const part = await get(url, { authorization, range: 'bytes=25000000-25000999' })
  assert.equal(part.statusCode, 206)
  assert.equal(part.headers['content-range'], `bytes 25000000-25000999/${filmLength}`)
  assert.ok((await bodyOf(part)).equals(film.subarray(25_000_000, 25_001_000)))
  const suffix = await get(`${url}?token=${encodeURIComponent(token)}`, { range: 'bytes=-500' })
  assert.ok((await bodyOf(suffix)).equals(film.subarray(-500)))
  const beyond = await get(url, { authorization, range: `bytes=${filmLength}-` })
  assert.equal(beyond.statusCode, 416)
  beyond.resume()
  await untilUnread(torrent)

  // Sockets buffer some megabytes; a proxy that reads ahead takes the whole film.
  const paused = await get(url, { authorization })
  await once(paused, 'readable')
  let last = -1
  const isStill = (): boolean => {
    const position = torrent.inspect().streams[0]?.position ?? filmLength
    const same = position === last
    last = position
    return same
  }
  await until('the proxy to read no more', isStill, { everyMs: 500 })
  assert.ok(last < 0.8 * filmLength, `${last} bytes were sent to a paused player`)
  paused.destroy()
  await untilUnread(torrent)

  const list = (await bodyOf(await get(`/${torrent.infoHash}.m3u8`, { authorization }))).toString()
  assert.match(list, new RegExp(`^http://films\\.example(?::\\d+)?${url}\\?token=`, 'm'))
}

test(
  'nginx: its configuration passes ranges and does not read ahead',
  needs(['nginx'], 60_000),
  async (t) => {
    const listen = await freePort()
    const startProxy = async (port: number, folder: string): Promise<Running> => {
      const location = recipeCode(proxyTitle, 'nginx').replaceAll(':8080', `:${port}`)
      const config = path.join(folder, 'nginx.conf')
      const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (name) => `${name}_temp_path ${folder}/${name};`
      )
      writeFileSync(
        config,
        `daemon off; master_process off; pid ${folder}/pid; error_log stderr;
events {}
http { access_log off; ${paths.join(' ')}
server { listen 127.0.0.1:${listen}; server_name films.example;
${location}} }`
      )
      return start('nginx', ['nginx', '-e', 'stderr', '-p', folder, '-c', config])
    }
    const request = (target: string, headers: Readonly<Record<string, string>>): http.ClientRequest =>
      http.request({
        host: '127.0.0.1',
        port: listen,
        path: target,
        agent: false,
        headers: { host: 'films.example', ...headers }
      })
    await checkProxied(await openProxied(t, startProxy, request))
  }
)

test('Caddy: its configuration passes ranges and redirects to HTTPS', needs(['caddy'], 60_000), async (t) => {
  const [httpPort, httpsPort] = [await freePort(), await freePort()]
  const startProxy = async (port: number, folder: string): Promise<Running> => {
    const site = recipeCode(proxyTitle, 'text').replaceAll(':8080', `:${port}`)
    const config = path.join(folder, 'Caddyfile')
    // With its own authority, Caddy asks no other one for a certificate.
    writeFileSync(
      config,
      `{
  admin off
  local_certs
  skip_install_trust
  default_bind 127.0.0.1
  http_port ${httpPort}
  https_port ${httpsPort}
}
${site}`
    )
    const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    return start('caddy', ['caddy', 'run', '--config', config, '--adapter', 'caddyfile'], { env })
  }
  const request = (target: string, headers: Readonly<Record<string, string>>): http.ClientRequest =>
    https.request({
      host: '127.0.0.1',
      port: httpsPort,
      path: target,
      agent: false,
      servername: 'films.example',
      rejectUnauthorized: false,
      headers: { host: 'films.example', ...headers }
    })
  await checkProxied(await openProxied(t, startProxy, request))
  const plain = http.get({
    host: '127.0.0.1',
    port: httpPort,
    path: '/a?b',
    agent: false,
    headers: { host: 'films.example' }
  })
  const [redirect] = await once(plain, 'response')
  redirect.resume()
  assert.equal(redirect.statusCode, 308)
  assert.match(redirect.headers.location, /^https:\/\/films\.example(?::\d+)?\/a\?b$/)
})

/** Returns how many packets left through an interface of the place. */
function sentThrough(place: Place, name: string): number {
  const [link] = JSON.parse(run(['ip', '-json', '-s', 'link', 'show', name], place).stdout)
  return link.stats64.tx.packets
}

test(
  'VPN: a client uses the tunnel alone, and nothing without it',
  needs(['namespaces'], 60_000),
  async (t) => {
    const scene = await openRecipes(t, { 'film.mp4': bytesOf(4_000_000, 5) })
    const { a, b, close } = openPlaces()
    t.after(close)
    const remote = { host: '85.78.1.1', enter: b.enter }
    // The default route leaves through eth0, and the tunnel is a second cable.
    const [, , , bName = ''] = b.enter
    run(['ip', 'link', 'add', 'tun0', 'type', 'veth', 'peer', 'name', 'tun0', 'netns', bName], a)
    run(['ip', 'addr', 'add', '10.8.0.2/24', 'dev', 'tun0'], a)
    run(['ip', 'link', 'set', 'tun0', 'up'], a)
    run(['ip', 'route', 'add', 'default', 'via', b.host], a)
    run(['ip', 'addr', 'add', '10.8.0.1/24', 'dev', 'tun0'], b)
    run(['ip', 'addr', 'add', `${remote.host}/32`, 'dev', 'eth0'], b)
    run(['ip', 'link', 'set', 'tun0', 'up'], b)
    run(['sh', '-e', '-c', recipeCode('VPN', 'sh')], a)

    const port = await freePort()
    const seeder = await piecewise.seed({
      torrentPath: path.join(scene.work, 'movie.torrent'),
      dataFolder: path.dirname(scene.work),
      workFolder: scene.work,
      place: remote,
      port
    })
    scene.after(() => seeder.stop())
    const program = fileURLToPath(new URL('run-recipe.js', import.meta.url))
    const args = [process.execPath, program, scene.programOf('VPN'), scene.work, `${remote.host}:${port}`]
    const [tunnelBefore, otherBefore] = [sentThrough(a, 'tun0'), sentThrough(a, 'eth0')]
    run(args, a)
    const [tunnel, other] = [sentThrough(a, 'tun0') - tunnelBefore, sentThrough(a, 'eth0') - otherBefore]
    assert.ok(other < tunnel / 4, `${tunnel} packets through the tunnel, ${other} beside it`)

    run(['ip', 'link', 'set', 'tun0', 'down'], a)
    assert.match(attempt(args, a).stderr, /Error: the VPN is down/)
    const route = ['ip', 'route', 'get', remote.host, 'from', '10.8.0.2']
    assert.notEqual(attempt(route, a).status, 0, 'packets from the address of the tunnel have another way')
  }
)
