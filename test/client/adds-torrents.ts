// Adds all .torrent files of a folder one by one until it is killed: node adds-torrents.js <state> <sources>
// <path>
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from '../../lib/index.ts'

const [state = '', sources = '', folder = ''] = process.argv.slice(2)
const client = new Client({ host: '127.0.0.1', state, path: folder })
await client.restored()
for (const name of readdirSync(sources)) {
  await client.add(path.join(sources, name))
  console.log(name)
  await sleep(40)
}
for (;;) {
  console.log('all')
  await sleep(40)
}
