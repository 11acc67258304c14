import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Benchmark, Measurement } from './benchmark.ts'

/** Returns the bytes that a file occupies on a disk with blocks of 4 KiB. */
function onDisk(size: number): number {
  return Math.ceil(size / 4096) * 4096
}

function packageFolder(): string {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return folder
}

function dependenciesOf(folder: string): string[] {
  const manifest: { dependencies?: Record<string, string> } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8')
  )
  return Object.keys(manifest.dependencies ?? {})
}

/** Returns all packages that are installed with the one in this folder, resolved as Node does. */
function installedWith(root: string): Set<string> {
  const found = new Set<string>()
  const look = (from: string): void => {
    for (const name of dependenciesOf(from)) {
      let at = from
      while (!existsSync(path.join(at, 'node_modules', name)) && at !== path.dirname(at))
        at = path.dirname(at)
      const folder = path.join(at, 'node_modules', name)
      if (!existsSync(folder)) throw new Error(`${name} is not installed: run npm ci`)
      if (found.has(folder)) continue
      found.add(folder)
      look(folder)
    }
  }
  look(root)
  return found
}

function diskUsage(folder: string): number {
  let bytes = onDisk(1)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const inner = path.join(folder, entry.name)
    if (entry.isDirectory()) bytes += entry.name === 'node_modules' ? 0 : diskUsage(inner)
    else bytes += onDisk(statSync(inner).size)
  }
  return bytes
}

/** Size of `npm install piecewise`: packages, and bytes on disk as in `du`. */
export const installSize: Benchmark = {
  name: 'install-size',
  run(): Measurement[] {
    const root = packageFolder()
    const output = execFileSync(
      'npm',
      ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'],
      {
        cwd: root,
        encoding: 'utf8',
        shell: process.platform === 'win32'
      }
    )
    const [packed]: { unpackedSize: number; files: { size: number }[] }[] = JSON.parse(output)
    const files = packed?.files ?? []
    const own = files.reduce((sum, { size }) => sum + onDisk(size), 0)
    const packages = installedWith(root)
    let all = own
    for (const folder of packages) all += diskUsage(folder)
    return [
      { name: 'install, packages', value: packages.size + 1, unit: '' },
      { name: 'install, piecewise alone', value: (packed?.unpackedSize ?? 0) / 1e6, unit: 'MB' },
      { name: 'install, all on disk', value: all / 1e6, unit: 'MB' }
    ]
  }
}
