// Runs the library in a process of its own, so that it can live in a network namespace and be killed:
// node run-client.js '{"torrent":…,"folder":…,"host":…,"port":…,"peers":[…]}' prints one JSON line for each report.
import { Client, type Torrent } from '../../lib/index.ts'
import type { ClientReport, ClientTask } from './peers/piecewise.ts'

const task = JSON.parse(process.argv[2] ?? '') as ClientTask
const client = new Client({
  host: task.host,
  ...(task.proxy === undefined ? { port: task.port } : { proxy: task.proxy }),
  ...(task.dht === undefined ? {} : { dht: { bootstrap: [task.dht] } }),
  ...(task.downloadLimit === undefined ? {} : { downloadLimit: task.downloadLimit }),
  ...(task.discovery === true
    ? {}
    : {
        ...(task.dht === undefined ? { dht: false } : {}),
        lsd: task.lsd ?? false,
        pex: task.pex ?? false,
        utp: false,
        natTraversal: false
      }),
  ...(task.uploadLimit === undefined ? {} : { uploadLimit: task.uploadLimit }),
  ...(task.encryption === undefined ? {} : { encryption: task.encryption }),
  ...(task.state === undefined ? {} : { state: task.state })
})
client.on('warning', (warning) => console.error('warning', warning))
client.on('error', (error) => {
  console.error('error', error)
  process.exitCode = 1
})
const seen = new Set<string>()
const kinds = new Set<string>()
client.on('torrent', (added) => {
  added.on('peer', ({ source, address, transport, encryption }) => {
    seen.add(`${source} ${address}`)
    kinds.add(`${transport} ${encryption}`)
  })
})
const began = performance.now()
const torrent = task.restored === true ? await restoredTorrent() : await addedTorrent()
let firstByteMs: number | undefined
if (task.stream === true) {
  const stream = torrent.files[0]?.createReadStream()
  stream?.once('data', () => {
    firstByteMs = performance.now() - began
    stream.destroy()
  })
}
let said = ''
const say = (event: ClientReport['event']) => {
  const { received, uploaded, progress } = torrent
  const report = JSON.stringify({
    event,
    received,
    uploaded,
    progress,
    peers: [...seen],
    kinds: [...kinds],
    ...(firstByteMs === undefined ? {} : { firstByteMs })
  } satisfies ClientReport)
  if (report !== said) console.log(report)
  said = report
}
const timer = setInterval(() => say(client.torrents.every(({ done }) => done) ? 'done' : 'progress'), 50)

let closing = false
const close = async () => {
  if (closing) return
  closing = true
  clearInterval(timer)
  await client.close()
  say('closed')
}
process.on('SIGINT', close)
process.on('SIGTERM', close)

async function restoredTorrent(): Promise<Torrent> {
  const [first] = await client.restored()
  if (first === undefined) throw new Error('nothing was left')
  return first
}

async function addedTorrent(): Promise<Torrent> {
  const added = await client.add(task.torrent, {
    path: task.folder,
    peers: [...(task.peers ?? [])],
    ...(task.idle === true ? { select: 'none' } : {})
  })
  for (const { torrent: other, folder } of task.others ?? []) await client.add(other, { path: folder })
  return added
}
