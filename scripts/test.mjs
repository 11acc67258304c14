// Runs compiled tests with node:test: all unit tests, or those in the given folders or with the given names.
// node scripts/test.mjs [--out dist] [--serial] [--matrix] [bencode wire/decoder …]
// --serial runs one file at a time with a longer timeout, for tests that drive other programs.
// --matrix runs all combinations of programs and settings, where a part of them is run otherwise.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const args = process.argv.slice(2)
const at = args.indexOf('--out')
const out = at >= 0 ? args.splice(at, 2)[1] : 'dist'
const serialAt = args.indexOf('--serial')
const serial = serialAt >= 0 && args.splice(serialAt, 1).length > 0
const matrixAt = args.indexOf('--matrix')
const matrix = matrixAt >= 0 && args.splice(matrixAt, 1).length > 0
const folder = path.resolve(root, out, 'test')
const files = readdirSync(folder, { recursive: true })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) =>
    args.length === 0 ? !file.startsWith('interop/') : args.some((name) => file.startsWith(name))
  )
  .sort()
  .map((file) => path.join(folder, file))
if (files.length === 0) {
  console.error(`no test begins with ${args.join(' or ')}: names are paths below test/, such as wire/decoder`)
  process.exit(2)
}
const flags = [
  '--test',
  `--test-timeout=${serial ? 900_000 : 120_000}`,
  `--test-concurrency=${serial ? 1 : 2}`
]
// The key that seals records is in the user's state folder, which tests must not touch.
const state = mkdtempSync(path.join(tmpdir(), 'piecewise-tests-'))
const env = {
  ...process.env,
  ...(matrix ? { PIECEWISE_MATRIX: '1' } : {}),
  XDG_STATE_HOME: state,
  LOCALAPPDATA: state
}
const { status } = spawnSync(process.execPath, [...flags, ...files], { stdio: 'inherit', env })
rmSync(state, { recursive: true, force: true })
process.exitCode = status ?? 1
