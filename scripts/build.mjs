// Compiles lib, test, examples and bench into dist/ (or the folder given), and makes the command executable.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const out = path.resolve(root, process.argv[2] ?? 'dist')
rmSync(out, { recursive: true, force: true })
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '-p', root, '--outDir', out], { stdio: 'inherit' })
for (const file of readdirSync(path.join(root, 'lib'), { recursive: true })) {
  if (/\.(html|css|svg)$/.test(file)) cpSync(path.join(root, 'lib', file), path.join(out, 'lib', file))
}
const command = path.join(out, 'lib/cli/main.js')
if (existsSync(command)) chmodSync(command, 0o755)
process.exitCode = status ?? 1
