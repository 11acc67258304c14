// Compiles lib, test, examples and bench into dist/ (or the folder given), and joins what is published in its folder package/:
// some 200 small modules take three times as long to import as the few files that they make together.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { rollup } from '@rollup/wasm-node'

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
if (status === 0) await join()

/** Everything in one folder, where the code finds its page and its worker beside itself. */
async function join() {
  const lib = path.join(out, 'lib')
  const { exports, dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const input = { cli: command, 'hash-worker': path.join(lib, 'hash/hash-worker.js') }
  for (const entry of Object.keys(exports)) {
    const name = entry === '.' ? 'index' : entry.slice('./'.length)
    if (!name.endsWith('.json')) input[name] = path.join(lib, `${name}.js`)
  }
  const bundle = await rollup({ input, external: [/^node:/, ...Object.keys(dependencies)] })
  const dir = path.join(out, 'package')
  await bundle.write({
    dir,
    format: 'es',
    generatedCode: 'es2015',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    minifyInternalExports: false,
    hoistTransitiveImports: false
  })
  await bundle.close()
  cpSync(path.join(lib, 'server/page.html'), path.join(dir, 'page.html'))
  chmodSync(path.join(dir, 'cli.js'), 0o755)
}
