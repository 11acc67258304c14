// Measures the cost of idle connected peers: one line of JSON, then a table. The peers are in another process.
//   npm run build && node bench/idle-peers.mjs [--peers 500] [--pieces 1000] [--dist dist] [--snapshot folder]
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { availableParallelism, cpus } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeHeapSnapshot } from 'node:v8'

const self = fileURLToPath(import.meta.url)
if (process.argv[2] === 'peers') process.on('message', bePeers)
else if (globalThis.gc === undefined) {
  const child = fork(self, process.argv.slice(2), { execArgv: ['--expose-gc'] })
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
} else await measure()

/** Connects peers that have half of the pieces, choke, and then send nothing more. */
async function bePeers({ port, infoHash, peers, pieces, lib }) {
  process.on('disconnect', () => process.exit(0))
  const { encode } = await import(`${lib}/wire/encoder.js`)
  const { messageIds } = await import(`${lib}/wire/messages.js`)
  for (let n = 0; n < peers; n++) {
    const socket = connect({ host: '127.0.0.1', port })
    await once(socket, 'connect')
    socket.on('error', () => {}).resume()
    socket.write(
      encode((batch) => {
        batch.handshake(Buffer.from(infoHash, 'hex'), randomBytes(20), {
          fast: true,
          extended: true,
          dht: false
        })
        batch.payload(messageIds.bitfield, new Uint8Array(Math.ceil(pieces / 8)).fill(0x55, 0, pieces >> 3))
      })
    )
  }
}

async function measure() {
  const { values } = parseArgs({
    options: {
      peers: { type: 'string', default: '500' },
      pieces: { type: 'string', default: '1000' },
      dist: { type: 'string', default: 'dist' },
      snapshot: { type: 'string' }
    }
  })
  const peers = Number(values.peers)
  const pieces = Number(values.pieces)
  const lib = path.resolve(path.dirname(self), '..', values.dist, 'lib')
  const { Client, MemoryStorage } = await import(`${lib}/index.js`)
  const { encode } = await import(`${lib}/bencode.js`)
  const client = new Client({ host: '127.0.0.1', maxConnections: 2 * peers + 100 })
  const torrent = await client.add(
    encode({
      info: { length: pieces << 18, name: 'idle', 'piece length': 1 << 18, pieces: randomBytes(20 * pieces) }
    }),
    { storage: new MemoryStorage() }
  )
  const { infoHash } = torrent
  const helper = fork(self, ['peers'], { execArgv: [] })
  const join = async (count) => {
    const expected = torrent.peers.length + count
    helper.send({ port: client.port, infoHash, peers: count, pieces, lib })
    for (const end = performance.now() + 60_000; torrent.peers.length < expected; await sleep(50)) {
      if (performance.now() > end) throw new Error(`only ${torrent.peers.length} of ${expected} peers came`)
    }
  }
  // Warm-up: compiled code and one-time allocations are not measured.
  await join(50)
  const before = await used(values.snapshot && path.join(values.snapshot, 'before.heapsnapshot'))
  await join(peers)
  const after = await used(values.snapshot && path.join(values.snapshot, 'after.heapsnapshot'))
  const cpu = process.cpuUsage()
  await sleep(5000)
  const { user, system } = process.cpuUsage(cpu)
  const result = {
    benchmark: 'idle-peers',
    peers,
    pieces,
    heapKiBEach: round((after.heap - before.heap) / peers / 1024),
    buffersKiBEach: round((after.buffers - before.buffers) / peers / 1024),
    cpuPercent: round((user + system) / 50_000)
  }
  console.log(JSON.stringify(result))
  console.log(
    `\nNode ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? process.arch}\n`
  )
  console.log(`| ${peers} idle peers, ${pieces} pieces | value | unit |\n|---|---:|---|`)
  console.log(`| heap, each | ${result.heapKiBEach} | KiB |`)
  console.log(`| buffers, each | ${result.buffersKiBEach} | KiB |`)
  console.log(`| processor, all | ${result.cpuPercent} | % of a core |`)
  helper.disconnect()
  process.exit(0)
}

/** Returns the bytes in use after a full garbage collection. */
async function used(snapshot) {
  for (let n = 0; n < 3; n++) {
    await sleep(300)
    globalThis.gc()
  }
  const { heapUsed, external } = process.memoryUsage()
  if (snapshot !== undefined) writeHeapSnapshot(snapshot)
  return { heap: heapUsed, buffers: external }
}

function round(value) {
  return Math.round(value * 100) / 100
}
