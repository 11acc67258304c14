// Packs the package as npm would publish it, and checks the tarball: publint, attw, its size, and that a strict TypeScript program that
// uses every public entry compiles against it without skipLibCheck.
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'piecewise-package-'))
const mostPackedBytes = 2_600_000

function run(script, args, cwd = folder) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, script), ...args], {
    cwd,
    encoding: 'utf8'
  })
  if (status === 0) return
  console.error(`${stdout}${stderr}`)
  throw new Error(`${script} ${args.join(' ')} failed`)
}

try {
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const pack = ['pack', '--ignore-scripts', '--json', '--loglevel=error', '--pack-destination', folder]
  const packed = execFileSync(npm, pack, { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' })
  const [{ filename, unpackedSize, files }] = JSON.parse(packed)
  const tarball = path.join(folder, filename)
  if (unpackedSize > mostPackedBytes)
    throw new Error(`the package has ${unpackedSize} bytes, more than ${mostPackedBytes}`)
  for (const { path: file } of files) {
    if (
      !/^(dist\/package\/|dist\/lib\/.*\.d\.ts$|examples\/[a-z-]+\.ts$|package\.json$|README\.md$|LICENSE$|CHANGELOG\.md$)/.test(
        file
      )
    )
      throw new Error(`${file} must not be in the package`)
  }
  console.log(`${filename}: ${files.length} files, ${unpackedSize} bytes`)

  run('node_modules/publint/src/cli.js', [tarball, '--strict'], root)
  // CommonJS takes the same files by require(esm), which every supported Node has.
  run(
    'node_modules/@arethetypeswrong/cli/dist/index.js',
    [tarball, '--ignore-rules', 'cjs-resolves-to-esm'],
    root
  )
  console.log('publint and attw: clean')

  // The tarball next to the real dependencies, as npm would install it.
  const modules = path.join(folder, 'node_modules')
  fs.mkdirSync(path.join(modules, '@types'), { recursive: true })
  execFileSync('tar', ['-xzf', filename], { cwd: folder })
  fs.renameSync(path.join(folder, 'package'), path.join(modules, manifest.name))
  const installed = [
    '@types/node',
    'undici-types',
    'bitfield',
    'debug',
    'ms',
    'streamx',
    'fast-fifo',
    'text-decoder',
    'events-universal'
  ]
  for (const name of [...installed, 'bare-events', 'b4a']) {
    const from = path.join(root, 'node_modules', name)
    if (fs.existsSync(from)) fs.symlinkSync(from, path.join(modules, name), 'junction')
  }
  const entries = Object.keys(manifest.exports).filter((entry) => entry !== './package.json')
  const program = entries.map(
    (entry, n) => `import * as entry${n} from '${path.posix.join(manifest.name, entry)}'`
  )
  program.push(`export const entries: object[] = [${entries.map((_, n) => `entry${n}`).join(', ')}]`)
  program.push(fs.readFileSync(path.join(root, 'scripts/consumer.txt'), 'utf8'))
  fs.writeFileSync(path.join(folder, 'consumer.ts'), program.join('\n'))
  fs.writeFileSync(path.join(folder, 'package.json'), '{"private":true,"type":"module"}')
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    outDir: 'out'
  }
  fs.writeFileSync(
    path.join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, include: ['consumer.ts'] })
  )
  run('node_modules/typescript/bin/tsc', ['-p', folder])
  execFileSync(process.execPath, [path.join(folder, 'out/consumer.js')], { stdio: 'inherit' })
  console.log(`a strict program with ${entries.length} entries compiles and runs`)
} finally {
  fs.rmSync(folder, { recursive: true, force: true })
}
