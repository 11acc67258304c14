// Runs the scheduler in simulated swarms in virtual time, and prints each result next to the theoretical optimum:
// `npm run sim`; `npm run sim -- harsh` for the scenarios of that name; `npm run sim -- cost` (or `--scale`) for the cost of a block in
// swarms of several sizes; `npm run sim -- dht` for look-ups in a DHT of 100,000 nodes, or of the number given.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const at = process.argv.indexOf('--out')
const [, out] = at >= 0 ? process.argv.splice(at, 2) : ['', 'dist']
const main = path.join(root, out, 'test/sim/main.js')
const { status } = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
process.exitCode = status ?? 1
