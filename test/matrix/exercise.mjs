// The program that runs everywhere: seeds 40 MB, downloads and streams them with a seek, serves them and makes a torrent of
// them, all on 127.0.0.1, and compares every byte. The caller passes the package, so that each runtime loads it in its own way.
import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'

const size = 40_000_000
const seekTo = 31_234_567
const alone = { host: '127.0.0.1', dht: false, lsd: false, pex: false }

/**
 * Resolves to the number of hashing threads and the duration; rejects with the first fault.
 * @param {{ Client: Function, createServer: Function, createTorrent: Function, parseTorrent: Function }} piecewise
 */
export async function exercise({ Client, createServer, createTorrent, parseTorrent }) {
  let threads = 0
  // A thread that cannot be started emits `worker` as well, but no message.
  const onWorker = (worker) => worker.once('message', () => threads++)
  process.on('worker', onWorker)
  const begin = Date.now()
  const folder = mkdtempSync(path.join(tmpdir(), 'exercise-'))
  const source = path.join(folder, 'film.mp4')
  const data = makeData()
  writeFileSync(source, data)
  const seeder = new Client(alone)
  const leecher = new Client({ ...alone, path: path.join(folder, 'downloads') })
  const server = createServer(leecher)
  const faults = []
  for (const emitter of [seeder, leecher, server]) emitter.on('error', (error) => faults.push(error))
  try {
    const seed = await seeder.seed(source)
    const torrent = await leecher.add(seed.torrentFile, { peers: [`127.0.0.1:${seeder.port}`] })
    const [file] = torrent.files
    await checkStream(file, data)
    await torrent.whenDone({ signal: AbortSignal.timeout(60_000) })
    same(readFileSync(file.diskPath), data, 'the downloaded file')

    server.listen(0)
    if (!server.listening) await once(server, 'listening')
    await checkServer(`http://127.0.0.1:${server.address().port}`, torrent, file, data)

    const made = parseTorrent(await createTorrent(source, { pieceLength: 2 ** 18 }))
    const hash = createHash('sha1')
      .update(data.subarray(0, 2 ** 18))
      .digest()
    if (made.length !== size) throw new Error(`the made torrent has ${made.length} bytes`)
    same(made.pieces.subarray(0, 20), hash, 'the first hash of the made torrent')
    if (faults.length > 0) throw faults[0]
  } finally {
    process.off('worker', onWorker)
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    await leecher.close()
    await seeder.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { threads, ms: Date.now() - begin }
}

/** Returns 40 MB of xorshift output, the same in every run. */
function makeData() {
  const words = new Uint32Array(size / 4)
  let state = 0x9e3779b9
  for (let n = 0; n < words.length; n++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[n] = state
  }
  return new Uint8Array(words.buffer)
}

/** Reads a MiB from the start, seeks, and reads to the end. */
async function checkStream(file, data) {
  const stream = file.createReadStream()
  let at = 0
  let sought = false
  const timeout = setTimeout(() => stream.destroy(new Error('the stream waits for a minute')), 60_000)
  try {
    for await (const chunk of stream) {
      same(chunk, data.subarray(at, at + chunk.length), `the stream at ${at}`)
      at += chunk.length
      if (sought || at < 2 ** 20) continue
      sought = true
      stream.seek(seekTo)
      at = seekTo
    }
  } finally {
    clearTimeout(timeout)
  }
  if (!sought || at !== size) throw new Error(`the stream ended at ${at}`)
}

async function checkServer(base, torrent, file, data) {
  const first = 12_345_678
  const last = first + 999_999
  const url = `${base}/${torrent.infoHash}/${encodeURIComponent(file.name)}`
  const range = await fetch(url, { headers: { range: `bytes=${first}-${last}` } })
  if (range.status !== 206) throw new Error(`the range is answered with ${range.status}`)
  same(new Uint8Array(await range.arrayBuffer()), data.subarray(first, last + 1), 'the range')
  const page = await fetch(`${base}/`)
  const html = await page.text()
  if (page.status !== 200 || !html.includes('</html>'))
    throw new Error(`the page has status ${page.status} and ${html.length} characters`)
}

function same(actual, expected, name) {
  if (Buffer.compare(actual, expected) !== 0) throw new Error(`${name} is not what was seeded`)
}
