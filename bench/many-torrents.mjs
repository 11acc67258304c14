// Measures the cost of a thousand torrents in one client: one line of JSON, then a table.
//   npm run build && node bench/many-torrents.mjs [--torrents 1000] [--pieces 1000] [--rest 10] [--dist dist] [--state]
// Each has one tracker that answers; before closing, each gets two that never answer, over UDP and HTTP.
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const self = fileURLToPath(import.meta.url)
if (process.argv[2] === 'trackers') await beTrackers()
else if (globalThis.gc === undefined) {
  const child = fork(self, process.argv.slice(2), { execArgv: ['--expose-gc'] })
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
} else await measure()

/** Starts a tracker that answers, and two that only listen; reports when announces arrived. */
async function beTrackers() {
  const times = []
  const live = createServer((_, response) => {
    times.push(performance.now())
    response.end('d8:intervali1800e5:peers0:e')
  })
  const deadHttp = createTcpServer((socket) => socket.on('error', () => {}).resume())
  const deadUdp = createSocket('udp4')
  live.listen(0, '127.0.0.1')
  deadHttp.listen(0, '127.0.0.1')
  deadUdp.bind(0, '127.0.0.1')
  await Promise.all([once(live, 'listening'), once(deadHttp, 'listening'), once(deadUdp, 'listening')])
  process.on('disconnect', () => process.exit(0))
  process.on('message', () => process.send(times))
  process.send({
    live: `http://127.0.0.1:${live.address().port}/announce`,
    dead: [
      `udp://127.0.0.1:${deadUdp.address().port}/announce`,
      `http://127.0.0.1:${deadHttp.address().port}/announce`
    ]
  })
}

async function measure() {
  const { values } = parseArgs({
    options: {
      torrents: { type: 'string', default: '1000' },
      pieces: { type: 'string', default: '1000' },
      rest: { type: 'string', default: '10' },
      dist: { type: 'string', default: 'dist' },
      state: { type: 'boolean', default: false }
    }
  })
  const count = Number(values.torrents)
  const pieces = Number(values.pieces)
  const lib = path.resolve(path.dirname(self), '..', values.dist, 'lib')
  const { Client } = await import(`${lib}/index.js`)
  const { encode } = await import(`${lib}/bencode.js`)
  const trackers = fork(self, ['trackers'], { execArgv: [] })
  const [urls] = await once(trackers, 'message')
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-many-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

  // Made one at a time, so that the memory of the sources is garbage when the rest is measured.
  const make = (n) =>
    encode({
      announce: urls.live,
      info: {
        length: pieces * 1_048_576,
        name: `torrent ${n}`,
        'piece length': 1_048_576,
        pieces: randomBytes(20 * pieces)
      }
    })
  const options = {
    host: '127.0.0.1',
    path: path.join(folder, 'data'),
    ...(values.state ? { state: path.join(folder, 'state') } : {})
  }
  const client = new Client(options)
  // Warm-up: one-time allocations of the first torrent are not measured.
  await client.remove(await client.add(make(-1)))
  const { length: earlier } = await untilAnnounced(trackers, 0, 1000)
  const before = await used()
  const began = performance.now()
  const startCpu = process.cpuUsage()
  let adding = []
  for (let n = 0; n < count; n++) adding.push(client.add(make(n)))
  await Promise.all(adding)
  const startMs = performance.now() - began
  const startCpuMs = cpuMs(startCpu)
  adding = []
  const times = (await untilAnnounced(trackers, earlier + count, 120_000)).slice(earlier)
  await sleep(2000)
  const after = await used()
  const cpuBefore = process.cpuUsage()
  await sleep(Number(values.rest) * 1000)
  const { user, system } = process.cpuUsage(cpuBefore)
  for (const torrent of client.torrents) torrent.addTrackers(urls.dead)
  await sleep(2000)
  const closing = performance.now()
  const closeCpu = process.cpuUsage()
  await client.close()
  const closeMs = performance.now() - closing
  const closeCpuMs = cpuMs(closeCpu)
  let restoreMs
  if (values.state) {
    const restoring = performance.now()
    const second = new Client(options)
    const restored = await second.restored()
    restoreMs = performance.now() - restoring
    if (restored.length !== count) throw new Error(`${restored.length} of ${count} torrents came back`)
    await second.close()
  }
  trackers.disconnect()

  const span = (times.at(-1) - times[0]) / 1000
  const result = {
    benchmark: 'many-torrents',
    torrents: count,
    pieces,
    startMs: Math.round(startMs),
    startCpuMs,
    heapKiBEach: round((after.heap - before.heap) / count / 1024),
    buffersKiBEach: round((after.buffers - before.buffers) / count / 1024),
    cpuPercent: round((user + system) / 10_000 / Number(values.rest)),
    announcesPerSecond: busiestSecond(times),
    announceSpanS: round(span),
    closeMs: Math.round(closeMs),
    closeCpuMs,
    ...(restoreMs === undefined ? {} : { restoreMs: Math.round(restoreMs) })
  }
  console.log(JSON.stringify(result))
  console.log(
    `\nNode ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? process.arch}\n`
  )
  console.log(`| ${count} torrents of ${pieces} pieces | value | unit |\n|---|---:|---|`)
  const rows = [
    ['all added', result.startMs, 'ms'],
    ['heap at rest, each', result.heapKiBEach, 'KiB'],
    ['buffers at rest, each (20 bytes a piece are its hashes)', result.buffersKiBEach, 'KiB'],
    ['processor at rest', result.cpuPercent, '% of a core'],
    ['most announces within a second', result.announcesPerSecond, ''],
    ['first announces spread over', result.announceSpanS, 's'],
    ['close, with trackers that never answer', result.closeMs, 'ms'],
    ...(restoreMs === undefined ? [] : [['all brought back from the state folder', result.restoreMs, 'ms']])
  ]
  for (const [name, value, unit] of rows) console.log(`| ${name} | ${value} | ${unit} |`)
  process.exit(0)
}

/** Returns the bytes in use after a full garbage collection. */
async function used() {
  for (let n = 0; n < 3; n++) {
    globalThis.gc()
    await sleep(50)
  }
  const { heapUsed, external } = process.memoryUsage()
  return { heap: heapUsed, buffers: external }
}

/** Returns when announces arrived, once there are `count` of them. */
async function untilAnnounced(trackers, count, withinMs) {
  for (const end = performance.now() + withinMs; ; await sleep(250)) {
    trackers.send('times')
    const [times] = await once(trackers, 'message')
    if (times.length >= count) return times
    if (performance.now() > end) throw new Error(`only ${times.length} of ${count} announces came`)
  }
}

function busiestSecond(times) {
  let most = 0
  for (let first = 0, last = 0; last < times.length; last++) {
    while (times[last] - times[first] >= 1000) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

/** Returns the CPU milliseconds of this process since `since`: more reliable than the clock on a busy machine. */
function cpuMs(since) {
  const { user, system } = process.cpuUsage(since)
  return Math.round((user + system) / 1000)
}

function round(value) {
  return Math.round(value * 100) / 100
}
