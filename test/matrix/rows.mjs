// The rows of the matrix. Commands and options are those of docs/runtimes.md.
import path from 'node:path'
import process from 'node:process'

const nodeLines = [20, 22, 24, 26]

/** What scripts/test-matrix.mjs runs, in order. */
export function matrixRows(context) {
  return nodeLines.flatMap((line) => nodeRows(context, line))
}

/** The line of JSON that report.mjs prints, in words. */
function describe(stdout) {
  const { threads } = JSON.parse(stdout.trim().split('\n').at(-1))
  return threads > 0 ? `hashes on ${threads} threads` : 'hashes on the main thread'
}

/** The Node of a line: the one that runs this script, or one from npm. */
function nodeOf({ folder }, line) {
  if (process.versions.node.startsWith(`${line}.`)) return { node: process.execPath }
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const cwd = path.join(folder, `node-${line}`)
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  return {
    node: path.join(cwd, 'node_modules', name, 'bin', file),
    cwd,
    packages: ['--ignore-scripts', `${name}@${line}`]
  }
}

function nodeRows(context, line) {
  const { folder, run } = context
  const { node, ...needs } = nodeOf(context, line)
  const row = (name, args, threads) => ({
    ...needs,
    name: `Node ${line}, ${name}`,
    async program() {
      const details = describe(await run(node, args))
      if (threads !== details.includes('threads')) throw new Error(`${name} ${details}`)
      return details
    }
  })
  const rows = [row('import', ['main.mjs'], true), row('require', ['main.cjs'], true)]
  if (line < 22) return rows
  const permission = [
    '--permission',
    '--allow-fs-read=*',
    `--allow-fs-write=${path.join(folder, 'tmp')}`,
    ...(line < 25 ? [] : ['--allow-net'])
  ]
  rows.push(
    row('--permission', [...permission, '--allow-worker', 'main.mjs'], true),
    row('--permission without --allow-worker', [...permission, 'main.mjs'], false)
  )
  return rows
}
