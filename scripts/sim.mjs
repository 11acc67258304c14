// Runs the scheduler through simulated swarms in virtual time and prints what it makes of each beside what is possible at best:
// `npm run sim`, `npm run sim -- harsh` for the scenarios of that name, `npm run sim -- cost` (or `--scale`)
// for what a block costs in swarms of several sizes; `npm run sim -- dht` for look-ups in a DHT of 100,000 nodes, or of as many as are named.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const at = process.argv.indexOf('--out')
const [, out] = at >= 0 ? process.argv.splice(at, 2) : ['', 'dist']
const main = path.join(root, out, 'test/sim/main.js')
const { status } = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
process.exitCode = status ?? 1
