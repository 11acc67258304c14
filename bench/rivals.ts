import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'

const nodePackage = `node-${process.platform}-${process.arch}`
const nodeMajor = Number(process.versions.node.split('.')[0])

/** Returns the default folder for other libraries. */
export function defaultCache(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache')
  return path.join(caches, 'piecewise-bench')
}

/**
 * Installs webtorrent and torrent-stream with npm, without running their scripts.
 * @throws Error when npm fails.
 */
export function installRivals(cache: string): void {
  mkdirSync(cache, { recursive: true })
  const manifest = {
    name: 'piecewise-bench-rivals',
    version: '1.0.0',
    private: true,
    dependencies: {
      webtorrent: '3.0.21',
      'torrent-stream': '1.2.1',
      // webtorrent 3 needs Node 22.
      ...(nodeMajor < 22 ? { [nodePackage]: '22' } : {})
    },
    // This version's binaries are npm packages, so it needs no install script.
    overrides: { 'node-datachannel': '0.33.4' }
  }
  writeFileSync(path.join(cache, 'package.json'), JSON.stringify(manifest, undefined, 2))
  const { status } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: cache,
    stdio: 'inherit',
    shell: process.platform === 'win32'
  })
  if (status !== 0) throw new Error(`npm install in ${cache} failed`)
}

/** Returns the Node that runs an engine; undefined when the engine or that Node is not installed. */
export function nodeFor(engine: string, cache: string): string | undefined {
  const isOwn = engine === 'floor' || engine.startsWith('piecewise')
  if (isOwn) return process.execPath
  if (!existsSync(path.join(cache, 'node_modules', engine))) return undefined
  if (engine !== 'webtorrent' || nodeMajor >= 22) return process.execPath
  const name = process.platform === 'win32' ? 'node.exe' : 'node'
  const node = path.join(cache, 'node_modules', nodePackage, 'bin', name)
  return existsSync(node) ? node : undefined
}
