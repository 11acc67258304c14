// Sends requests to a web recipe of docs/recipes.md, which is run with the framework that is installed beside it.
// node web-recipe.mjs <program> <folder of the package>
import { Buffer } from 'node:buffer'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { report } from './report.mjs'
import { makeBytes, runRecipe, seedMovie } from './run-recipe.mjs'

const length = 3_000_000
/** Bytes per second: a download takes three seconds, and an aborted one is far from its end. */
const uploadLimit = 1_000_000

report(main(...process.argv.slice(2)))

async function main(program, app) {
  const { resolve } = createRequire(path.join(app, 'package.json'))
  const load = (name) => import(pathToFileURL(resolve(name)).href)
  const { Client } = await load('piecewise')
  const { createServer } = await load('piecewise/server')
  const folder = mkdtempSync(path.join(tmpdir(), 'recipe-'))
  const film = makeBytes(length)
  const files = { 'a.mp4': film, 'b.txt': new Uint8Array(), 'c.html': Buffer.from('<script></script>') }
  const { seeder, work, peer } = await seedMovie({ Client }, folder, files, { uploadLimit })
  let recipe
  let closeRoute
  try {
    recipe = await runRecipe(path.resolve(program), { Client, createServer, work, peer })
    const { GET } = recipe.exports
    const server = GET === undefined ? undefined : await serveRoute(GET)
    closeRoute = server?.close
    const origin = `http://127.0.0.1:${server?.port ?? recipe.portOf(3000)}`
    await check(origin, film, () => recipe.clients[0].torrents[0])
  } finally {
    await closeRoute?.()
    await recipe?.close()
    await seeder.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function check(origin, film, torrent) {
  const get = (url, options) => ask(origin + url, options)

  // HEAD and refusals come first: they read nothing.
  const head = await get('/files/0', { method: 'HEAD' })
  equal([head.status, head.headers['content-length'], head.body.length], [200, `${length}`, 0], 'HEAD')
  equal(head.headers['accept-ranges'], 'bytes', 'Accept-Ranges')
  equal(head.headers['content-type'], 'video/mp4', 'the type of a film')
  for (const range of [`bytes=${length}-`, 'bytes=-0', 'bytes=9-5']) {
    const beyond = await get('/files/0', { headers: { range } })
    equal([beyond.status, beyond.body.length], [416, 0], range)
    equal(beyond.headers['content-range'], `bytes */${length}`, `Content-Range of ${range}`)
  }
  for (const index of ['3', '-1', 'x', '0.5', 'constructor'])
    equal((await get(`/files/${index}`)).status, 404, `the file ${index}`)
  await untilUnread(torrent())
  equal(torrent().downloaded, 0, 'bytes downloaded for HEAD and 416')

  const empty = await get('/files/1')
  equal([empty.status, empty.headers['content-length'], empty.body.length], [200, '0', 0], 'an empty file')
  const html = await get('/files/2')
  equal(html.headers['content-security-policy'], 'sandbox', 'the policy of a page')

  const ranges = [
    ['bytes=1000-1999', 1000, 2000],
    ['bytes=0-0', 0, 1],
    [`bytes=${length - 500}-`, length - 500, length],
    ['bytes=-700', length - 700, length],
    [`bytes=-${2 * length}`, 0, length, true],
    [`bytes=${length - 1}-${2 * length}`, length - 1, length]
  ]
  for (const [range, from, to, isLarge] of ranges) {
    // The large one is read once the film is downloaded.
    if (isLarge) continue
    await checkRange(range, from, to)
  }

  const before = torrent().downloaded
  await abort(`${origin}/files/0`)
  await untilUnread(torrent())
  const after = await untilStill(() => torrent().downloaded)
  if (after - before > 0.8 * length)
    throw new Error(`${after - before} bytes were read for an aborted response`)

  const whole = await get('/files/0')
  equal([whole.status, whole.headers['content-length']], [200, `${length}`], 'GET')
  if (!whole.body.equals(film)) throw new Error('the whole file is not what was seeded')
  for (const [range, from, to, isLarge] of ranges) if (isLarge) await checkRange(range, from, to)
  // Several ranges and other units are answered with the whole file, as RFC 9110 allows.
  for (const range of ['bytes=0-1,5-6', 'lines=1-2']) {
    const { status, body } = await get('/files/0', { headers: { range } })
    equal([status, body.length], [200, length], range)
  }
  await untilUnread(torrent())

  async function checkRange(range, from, to) {
    const { status, headers, body } = await get('/files/0', { headers: { range } })
    equal([status, headers['content-length']], [206, `${to - from}`], range)
    equal(headers['content-range'], `bytes ${from}-${to - 1}/${length}`, `Content-Range of ${range}`)
    if (!body.equals(film.subarray(from, to))) throw new Error(`${range} has other bytes`)
  }
}

/** Calls a route handler for each request, as Next.js does: GET also answers HEAD, and the signal aborts with the connection. */
async function serveRoute(GET) {
  const server = http.createServer(async (incoming, outgoing) => {
    const { host, range } = incoming.headers
    const left = new AbortController()
    outgoing.once('close', () => left.abort())
    const request = new Request(`http://${host}${incoming.url}`, {
      method: incoming.method,
      headers: range === undefined ? {} : { range },
      signal: left.signal
    })
    const index = decodeURIComponent(incoming.url.slice('/files/'.length))
    const response = await GET(request, { params: Promise.resolve({ index }) })
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    try {
      for await (const chunk of response.body ?? []) {
        if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once('drain', resolve))
      }
      outgoing.end()
    } catch {
      outgoing.destroy()
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(resolve)
    })
  return { port: server.address().port, close }
}

function ask(url, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const options = { method, headers, agent: false, signal: AbortSignal.timeout(20_000) }
    const request = http.request(url, options, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) })
      )
    })
    request.on('error', (error) => reject(new Error(`${method} ${url}: ${error.message}`)))
    request.end()
  })
}

/** Requests a file, and leaves with the first bytes. */
function abort(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false }, (response) => {
      response.on('error', () => {})
      response.once('data', () => {
        request.destroy()
        resolve()
      })
    })
    request.once('error', reject)
  })
}

async function untilUnread(torrent) {
  const deadline = Date.now() + 10_000
  while (torrent.streams.length > 0) {
    if (Date.now() > deadline) throw new Error(`${torrent.streams.length} streams stay open`)
    await delay(5)
  }
}

/** Resolves to a value that has stayed the same for 300 ms. */
async function untilStill(read) {
  for (let last = read(); ; ) {
    await delay(300)
    const now = read()
    if (now === last) return now
    last = now
  }
}

function equal(actual, expected, what) {
  const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (got !== wanted) throw new Error(`${what}: ${got} instead of ${wanted}`)
}
