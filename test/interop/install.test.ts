import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')

/** Returns the bytes that a folder takes on disk. */
function diskUsage(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => lstatSync(path.join(folder, file)))
    .reduce((sum, { blocks, size }) => sum + (blocks === undefined ? size : blocks * 512), 0)
}

test('the package installs without scripts into an empty folder, as at most 12 packages and 5 MB', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-install-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const npm = (cwd: string, ...args: string[]): string =>
    execFileSync('npm', [...args, '--loglevel=error', '--no-audit', '--no-fund'], { cwd, encoding: 'utf8' })
  const packed =
    npm(root, 'pack', '--ignore-scripts', '--pack-destination', folder).trim().split('\n').at(-1) ?? ''
  writeFileSync(path.join(folder, 'package.json'), '{"private":true,"type":"module"}')
  npm(folder, 'install', '--ignore-scripts', path.join(folder, packed))
  const modules = path.join(folder, 'node_modules')
  const names = Object.keys(
    JSON.parse(execFileSync('npm', ['ls', '--all', '--json'], { cwd: folder, encoding: 'utf8' })).dependencies
  )
  assert.deepEqual(names, ['piecewise'])
  const packages = readdirSync(modules, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /^(?:.*node_modules\/)?(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(file)
  )
  const bytes = diskUsage(modules)
  t.diagnostic(`${packages.length} packages, ${(bytes / 1e6).toFixed(2)} MB`)
  assert.ok(packages.length <= 12, packages.join(' '))
  assert.ok(bytes <= 5_000_000, `${bytes} bytes`)
  assert.ok(existsSync(path.join(modules, '.bin/piecewise')))
  const version = execFileSync(path.join(modules, '.bin/piecewise'), ['--version'], { encoding: 'utf8' })
  assert.match(version, /\d+\.\d+\.\d+/)
  const program =
    "import { Client } from 'piecewise'; const client = new Client({ host: '127.0.0.1' }); await client.close()"
  execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd: folder })
})
