// Compiles on every change, without bundling, and then runs the tests of the given folders or names.
//   npm run test:watch -- picker wire/decoder
// The first run compiles everything; later ones only what has changed. Ctrl+C ends it.
import { spawn } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const names = process.argv.slice(2)
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const options = [
  '--watch',
  '--preserveWatchOutput',
  '--incremental',
  '--tsBuildInfoFile',
  'dist/watch.tsbuildinfo'
]
const compiler = spawn(process.execPath, [tsc, '-p', root, '--outDir', path.join(root, 'dist'), ...options], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit']
})
let tests
compiler.stdout.setEncoding('utf8').on('data', (text) => {
  process.stdout.write(text)
  if (!text.includes('Found 0 errors')) return
  tests?.kill()
  tests = spawn(process.execPath, [path.join(root, 'scripts/test.mjs'), ...names], { stdio: 'inherit' })
})
compiler.on('exit', (code) => process.exit(code ?? 0))
