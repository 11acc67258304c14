// Installs the packed package into a folder for temporary files, and runs the programs of test/matrix there with every runtime,
// test runner, bundler and TypeScript resolution that docs/runtimes.md names, and the recipes for web frameworks and Docker. Needs the npm registry; package.json stays as it is.
// node scripts/test-matrix.mjs [--allow-missing] [--only esbuild] [--keep]
// --allow-missing accepts that a tool cannot be installed, --only runs rows whose name contains the text, --keep leaves the folder.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { matrixRows } from '../test/matrix/rows.mjs'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const { values: options } = parseArgs({
  options: {
    'allow-missing': { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false }
  }
})
const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-matrix-'))
// Bundles lie outside of it, where no package can be found beside them.
const app = path.join(folder, 'app')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const quiet = ['--no-audit', '--no-fund', '--loglevel=error']

/** Runs a command to its end; rejects with its output when it fails. */
function run(command, args, { cwd = app, env = {}, ms = 300_000 } = {}) {
  const temporary = path.join(folder, 'tmp')
  const child = spawn(command, args, {
    cwd,
    env: {
      ...process.env,
      ...env,
      TMPDIR: temporary,
      TEMP: temporary,
      // The key that seals records lies in the user's state folder, which no test touches.
      XDG_STATE_HOME: path.join(folder, 'state'),
      LOCALAPPDATA: path.join(folder, 'state')
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: command === npm && process.platform === 'win32',
    timeout: ms,
    killSignal: 'SIGKILL'
  })
  let output = ''
  let stdout = ''
  child.stdout.on('data', (data) => {
    stdout += data
    output += data
  })
  child.stderr.on('data', (data) => (output += data))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      if (status === 0) resolve(stdout)
      else reject(new Error(`${path.basename(command)} ended with ${signal ?? status}\n${output}`))
    })
  })
}

const installs = new Map()

/** Installs packages once and resolves to the error, if there is one. */
function install(packages, cwd = app) {
  const key = `${cwd} ${packages.join(' ')}`
  let result = installs.get(key)
  if (result === undefined) {
    result = tryInstall(packages, cwd)
    installs.set(key, result)
  }
  return result
}

async function tryInstall(packages, cwd) {
  mkdirSync(cwd, { recursive: true })
  if (cwd !== app) writeFileSync(path.join(cwd, 'package.json'), '{"private":true}')
  try {
    await run(npm, ['install', ...quiet, ...packages], { cwd })
    return undefined
  } catch (error) {
    return error
  }
}

/** Runs one row and resolves to its line of the table. */
async function runRow({ name, packages = [], cwd, program }) {
  const fault = packages.length === 0 ? undefined : await install(packages, cwd)
  if (fault !== undefined) {
    console.log(`not ok ${name}: ${packages.join(' ')} cannot be installed`)
    console.log(fault.message.replace(/^/gm, '  '))
    return { name, result: 'missing', details: packages.join(' ') }
  }
  const begin = Date.now()
  try {
    const details = await program()
    console.log(`ok ${name}`)
    return { name, result: 'ok', seconds: ((Date.now() - begin) / 1000).toFixed(1), details }
  } catch (error) {
    console.log(`not ok ${name}`)
    console.log(error.message.replace(/^/gm, '  '))
    return { name, result: 'failed', details: error.message.split('\n')[0] }
  }
}

/** Prints the rows as a Markdown table. */
function printTable(results) {
  const lines = [
    ['', 'result', 'seconds', 'details'],
    ['---', '---', '---', '---']
  ]
  for (const { name, result, seconds = '', details = '' } of results)
    lines.push([name, result, seconds, details])
  const widths = lines[0].map((_, n) => Math.max(...lines.map((line) => line[n].length)))
  for (const line of lines)
    console.log(
      `| ${line.map((cell, n) => (cell === '---' ? '-'.repeat(widths[n]) : cell.padEnd(widths[n]))).join(' | ')} |`
    )
}

try {
  cpSync(path.join(root, 'test/matrix'), app, { recursive: true })
  mkdirSync(path.join(folder, 'tmp'))
  writeFileSync(path.join(app, 'package.json'), '{"private":true}')
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]
  const packed = (await run(npm, pack, { cwd: root })).trim().split('\n').at(-1)
  const tarball = path.join(folder, packed)
  // The types of streams and sockets are those of @types/node.
  await run(npm, ['install', ...quiet, tarball, '@types/node@20'])
  const { exports } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
  const entries = Object.keys(exports).filter((entry) => !entry.endsWith('.json'))
  const results = []
  for (const row of matrixRows({ app, folder, tarball, entries, run, npm })) {
    if (row.name.includes(options.only)) results.push(await runRow(row))
  }
  console.log()
  printTable(results)
  const missing = results.filter(({ result }) => result === 'missing')
  for (const { name, details } of missing)
    console.log(`${name} was not tested: npm could not install ${details}`)
  const failed = results.some(({ result }) => result === 'failed')
  if (failed || results.length === 0 || (missing.length > 0 && !options['allow-missing']))
    process.exitCode = 1
} finally {
  if (options.keep) console.log(folder)
  else rmSync(folder, { recursive: true, force: true })
}
