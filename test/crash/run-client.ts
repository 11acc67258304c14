// A program that the test kills, or whose disk fills up, at one of its changes of the disk. Imported before
// all of lib/:
import { CrashDisk, type Fault } from '../support/crash-disk.ts'
import '../support/no-network.ts'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Client } from '../../lib/index.ts'

const [folder = '', source = '', peer = '', fault = '', at = ''] = process.argv.slice(2)
const disk = new CrashDisk(folder)
disk.arm(fault as Fault, Number(at), () => process.kill(process.pid, 'SIGKILL'))

function report(fact: string): void {
  // In one piece and at once, however the process ends.
  process.stdout.write(`${fact}\n`)
}

/** Waits until the download is complete, also if the disk was full meanwhile. */
async function done(): Promise<void> {
  while (!torrent.done) await torrent.whenDone().catch(() => {})
}

const client = new Client({
  host: '127.0.0.1',
  dht: false,
  lsd: false,
  pex: false,
  state: path.join(folder, 'state'),
  path: path.join(folder, 'data')
})
client.on('warning', () => {})
const restored = await client.restored()
report(`restored ${restored.length}`)
const torrent = await client.add(readFileSync(source), { peers: [peer], select: [0, 2] })
torrent.on('warning', () => {})
// A user makes space and resumes it.
torrent.on('error', () => {
  disk.free()
  torrent.resume()
  torrent.addPeer(peer)
})
await done()
report('selected')
torrent.select([1])
await done()
report('all')
await client.close()
report(`closed ${disk.steps.length}`)
