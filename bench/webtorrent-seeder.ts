// webtorrent as a seeder: node webtorrent-seeder.js '{"torrent", "folder", "cache"}'; prints its port as a JSON list when it seeds.
import path from 'node:path'
import { pathToFileURL } from 'node:url'

interface Seeder {
  readonly torrentPort: number
  on(event: 'error', listener: (error: Error) => void): void
  add(torrent: string, options: object, then: (torrent: Seeded) => void): void
}

interface Seeded {
  readonly done: boolean
  on(event: 'done', listener: () => void): void
}

const task: { torrent: string; folder: string; cache: string } = JSON.parse(process.argv[2] ?? '')
const entry = pathToFileURL(path.join(task.cache, 'node_modules/webtorrent/index.js')).href
const { default: WebTorrent }: { default: new (options: object) => Seeder } = await import(entry)
const client = new WebTorrent({
  dht: false,
  lsd: false,
  tracker: false,
  natUpnp: false,
  natPmp: false,
  utp: false,
  utPex: false
})
client.on('error', (error) => {
  console.error(error)
  process.exit(1)
})
client.add(task.torrent, { path: task.folder, skipVerify: true }, (torrent) => {
  const ready = (): void => console.log(JSON.stringify([client.torrentPort]))
  if (torrent.done) ready()
  else torrent.on('done', ready)
})
process.stdin.resume().on('end', () => process.exit(0))
