// The rows of the matrix. Commands and options are those of docs/runtimes.md.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { recipeRows } from './recipe-rows.mjs'

const nodeLines = [20, 22, 24, 26]

/** The rows, in the order in which scripts/test-matrix.mjs runs them. */
export function matrixRows(context) {
  return [
    ...nodeLines.flatMap((line) => nodeRows(context, line)),
    ...runtimeRows(context),
    ...testRunnerRows(context),
    ...bundlerRows(context),
    ...typeScriptRows(context),
    ...recipeRows(context)
  ]
}

/** Puts the line of JSON that report.mjs prints into words. */
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

function runtimeRows({ app, run }) {
  const row = (name, packages, file, args) => ({
    name,
    packages,
    program: async () => describe(await run(path.join(app, 'node_modules', file), args))
  })
  const bun = `bun/bin/bun.exe`
  const deno = `deno/deno${process.platform === 'win32' ? '.exe' : ''}`
  const permissions = ['--allow-read', '--allow-write', '--allow-net', '--allow-env', '--allow-sys']
  return [
    row('Bun, import', ['bun'], bun, ['main.mjs']),
    row('Bun, require', ['bun'], bun, ['main.cjs']),
    row('Deno, import', ['deno'], deno, ['run', ...permissions, 'main.mjs']),
    row('Deno, require', ['deno'], deno, ['run', ...permissions, 'main.cjs'])
  ]
}

function testRunnerRows({ app, run }) {
  const script = (file) => path.join(app, 'node_modules', file)
  const vitest = [script('vitest/vitest.mjs'), 'run', 'vitest.spec.mjs']
  const jest = ['--experimental-vm-modules', script('jest/bin/jest.js'), '--testMatch=**/jest.spec.mjs']
  return [
    { name: 'Vitest', packages: ['vitest'], program: () => quietly(run(process.execPath, vitest)) },
    { name: 'Jest', packages: ['jest'], program: () => quietly(run(process.execPath, jest)) }
  ]
}

async function quietly(running) {
  await running
}

function bundlerRows({ app, folder, run }) {
  const bin = (name) => path.join(app, 'node_modules', name)
  /** Bundles and runs the program, and once more with a copy of the worker beside it. */
  const row = (name, packages, output, bundle, { worker = 'copy', start = [process.execPath] } = {}) => ({
    name,
    packages,
    async program() {
      const cwd = path.join(folder, 'bundles', name.replaceAll(/\W+/g, '-'))
      mkdirSync(cwd, { recursive: true })
      await bundle(cwd)
      const [command, ...args] = [...start, path.join(cwd, output)]
      const first = describe(await run(command, args, { cwd }))
      if (first.includes('threads') !== (worker === 'bundled')) throw new Error(`the bundle ${first}`)
      if (worker !== 'copy') return first
      copyFileSync(bin('piecewise/dist/package/hash-worker.js'), path.join(cwd, 'hash-worker.js'))
      const second = describe(await run(command, args, { cwd }))
      if (!second.includes('threads')) throw new Error(`the bundle with hash-worker.js ${second}`)
      return `${first}, with hash-worker.js on threads`
    }
  })
  const banner = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
  const metaBanner = "const importMetaUrl = require('node:url').pathToFileURL(__filename).href"
  const esbuild = (cwd, output, ...args) =>
    run(bin('esbuild/bin/esbuild'), [
      'main.mjs',
      '--bundle',
      '--platform=node',
      `--outfile=${path.join(cwd, output)}`,
      ...args
    ])
  const rollup = (cwd, output, format) =>
    run(process.execPath, [
      bin('rollup/dist/bin/rollup'),
      '--config=rollup.config.mjs',
      '--input=main.mjs',
      `--dir=${cwd}`,
      `--entryFileNames=${output}`,
      `--format=${format}`
    ])
  const webpack = (cwd, format) =>
    run(process.execPath, [
      bin('webpack/bin/webpack.js'),
      '--config=webpack.config.mjs',
      `--env=format=${format}`,
      '--entry=./main.mjs',
      `--output-path=${cwd}`
    ])
  const bun = (...args) => run(bin('bun/bin/bun.exe'), ['build', ...args])
  const rollupPackages = ['rollup', '@rollup/plugin-node-resolve', '@rollup/plugin-commonjs']
  const webpackPackages = ['webpack', 'webpack-cli']
  return [
    row('esbuild, ESM', ['esbuild'], 'main.mjs', (cwd) =>
      esbuild(cwd, 'main.mjs', '--format=esm', `--banner:js=${banner}`)
    ),
    row('esbuild, ESM, minified', ['esbuild'], 'main.mjs', (cwd) =>
      esbuild(cwd, 'main.mjs', '--format=esm', '--minify', `--banner:js=${banner}`)
    ),
    row('esbuild, CommonJS', ['esbuild'], 'main.cjs', (cwd) =>
      esbuild(
        cwd,
        'main.cjs',
        '--format=cjs',
        '--define:import.meta.url=importMetaUrl',
        `--banner:js=${metaBanner}`
      )
    ),
    row('rollup, ESM', rollupPackages, 'main.mjs', (cwd) => rollup(cwd, 'main.mjs', 'es')),
    row('rollup, CommonJS', rollupPackages, 'main.cjs', (cwd) => rollup(cwd, 'main.cjs', 'cjs')),
    row('webpack, ESM', webpackPackages, 'main.mjs', (cwd) => webpack(cwd, 'esm'), { worker: 'bundled' }),
    row('webpack, CommonJS', webpackPackages, 'main.cjs', (cwd) => webpack(cwd, 'cjs'), {
      worker: 'bundled'
    }),
    row('bun build, for Node', ['bun'], 'main.mjs', (cwd) =>
      bun('main.mjs', '--target=node', `--outfile=${path.join(cwd, 'main.mjs')}`)
    ),
    row(
      'bun build --compile',
      ['bun'],
      'main',
      (cwd) => bun('main.mjs', '--compile', `--outfile=${path.join(cwd, 'main')}`),
      { worker: 'none', start: [] }
    )
  ]
}

/** A strict program that imports every entry, compiled with each `moduleResolution`. */
function typeScriptRows({ app, folder, entries, run }) {
  const row = (version, module, moduleResolution, { commonJs = false } = {}) => {
    const compiler = path.join(folder, `typescript-${version}`)
    return {
      name: `TypeScript ${version}, ${moduleResolution}${commonJs ? ', CommonJS' : ''}`,
      packages: [`typescript@${version}`],
      cwd: compiler,
      async program() {
        const cwd = path.join(app, `types-${version}-${moduleResolution}${commonJs ? '-cjs' : ''}`)
        mkdirSync(cwd)
        const program = entries.map((entry, n) => {
          const name = path.posix.join('piecewise', entry)
          return `import * as entry${n} from '${name}'\n// @ts-expect-error: an entry without types would have it.\nentry${n}.missing`
        })
        program.push(
          "import { Client, type Torrent } from 'piecewise'",
          "const client: Client = new Client({ host: '127.0.0.1' })",
          'export const torrent: Promise<Torrent> = client.add(new Uint8Array())',
          `export const entries: object[] = [${entries.map((_, n) => `entry${n}`).join(', ')}]`
        )
        writeFileSync(path.join(cwd, 'program.ts'), program.join('\n'))
        writeFileSync(
          path.join(cwd, 'package.json'),
          JSON.stringify({ type: commonJs ? 'commonjs' : 'module' })
        )
        const compilerOptions = {
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable'],
          types: ['node'],
          module,
          moduleResolution,
          strict: true,
          noEmit: true
        }
        writeFileSync(
          path.join(cwd, 'tsconfig.json'),
          JSON.stringify({ compilerOptions, files: ['program.ts'] })
        )
        await run(process.execPath, [path.join(compiler, 'node_modules/typescript/bin/tsc'), '-p', cwd])
      }
    }
  }
  return [
    row(5, 'nodenext', 'nodenext'),
    row(5, 'nodenext', 'nodenext', { commonJs: true }),
    row(5, 'node16', 'node16'),
    row(5, 'esnext', 'bundler'),
    row(5, 'esnext', 'node10'),
    row(7, 'nodenext', 'nodenext'),
    row(7, 'nodenext', 'nodenext', { commonJs: true }),
    row(7, 'node16', 'node16'),
    row(7, 'esnext', 'bundler')
  ]
}
