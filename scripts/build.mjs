// Compiles lib, test, examples and bench into dist/ (or the folder given), and bundles what is published into its folder package/:
// some 200 small modules take three times as long to import as a few large files. Drops the types that no entry reaches, which would
// be half of the installed files.
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
if (status === 0) {
  await join()
  dropHiddenTypes()
}

/** Bundles into one folder, where the code finds its worker next to itself. */
async function join() {
  const lib = path.join(out, 'lib')
  const { exports, dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const input = { cli: command }
  for (const entry of Object.keys(exports)) {
    const name = entry === '.' ? 'index' : entry.slice('./'.length)
    if (!name.endsWith('.json')) input[name] = path.join(lib, `${name}.js`)
  }
  const external = [/^node:/, ...Object.keys(dependencies)]
  const bundle = await rollup({ input, external, plugins: [pageInside(path.join(lib, 'server'))] })
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
  // The worker is one file, so that a bundle needs nothing but a copy of it.
  const worker = await rollup({ input: path.join(lib, 'hash/hash-worker.js'), external })
  await worker.write({ file: path.join(dir, 'hash-worker.js'), format: 'es', generatedCode: 'es2015' })
  await worker.close()
  chmodSync(path.join(dir, 'cli.js'), 0o755)
}

/** Inlines the page into the code that reads it, so that programs that bundle the package include it. */
function pageInside(folder) {
  const reading = "readFileSync(new URL('./page.html', import.meta.url), 'utf8')"
  return {
    name: 'page-inside',
    transform(code, id) {
      if (id !== path.join(folder, 'page.js')) return null
      if (!code.includes(reading)) this.error('page.ts reads its page in another way than the build expects')
      const page = readFileSync(path.join(folder, 'page.html'), 'utf8')
      return { code: code.replace(reading, () => JSON.stringify(page)), map: null }
    }
  }
}

/** Deletes the .d.ts files of lib/ that no entry of the package reaches. */
function dropHiddenTypes() {
  const lib = path.join(out, 'lib')
  const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const reached = new Set()
  const visit = (file) => {
    if (reached.has(file)) return
    reached.add(file)
    for (const [, from] of readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+)\.[jt]s'/g))
      visit(path.resolve(path.dirname(file), `${from}.d.ts`))
  }
  for (const { types } of Object.values(exports))
    if (types !== undefined) visit(path.join(lib, path.basename(types)))
  for (const file of readdirSync(lib, { recursive: true }))
    if (file.endsWith('.d.ts') && !reached.has(path.join(lib, file))) rmSync(path.join(lib, file))
}
