// Type-checks every `ts` block of README.md and docs/ against the built package, and checks that the names in the text exist.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { fileOf } from './recipes.mjs'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const manifest = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
const folder = path.join(root, 'dist-readme')
const docs = fs.existsSync(path.join(root, 'docs'))
  ? fs.readdirSync(path.join(root, 'docs')).map((file) => `docs/${file}`)
  : []
const faults = []
/** Packages that recipes use and whose types are not installed. */
const frameworks = ['express', 'fastify', 'hono', '@hono/node-server', 'electron']
/** Snippets that use one of them, so that parameters of its callbacks have no type. */
const untyped = new Set()
let count = 0
fs.rmSync(folder, { recursive: true, force: true })
fs.mkdirSync(folder, { recursive: true })
for (const file of [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...docs.filter((name) => name.endsWith('.md'))
]) {
  const text = fs.readFileSync(path.join(root, file), 'utf8')
  for (const [, code] of text.matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    const snippet = `snippet-${++count}.ts`
    fs.writeFileSync(path.join(folder, snippet), `${code}\nexport {}\n`)
    if (frameworks.some((name) => code.includes(`from '${name}'`))) untyped.add(snippet)
    // Other recipes import it.
    const name = fileOf(code)
    if (name !== undefined) fs.writeFileSync(path.join(folder, name), code)
  }
  for (const [, script] of text.matchAll(/npm run ([a-z:]+)/g)) {
    if (manifest.scripts[script] === undefined)
      faults.push(`${file} names the script ${script}, which does not exist`)
  }
  for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)[^)]*\)/g)) {
    if (!fs.existsSync(path.join(root, path.dirname(file), target)))
      faults.push(`${file} links to ${target}, which does not exist`)
  }
}
const errors = fs.readFileSync(path.join(root, 'lib/util/errors.ts'), 'utf8')
const table = fs.readFileSync(path.join(root, 'docs/errors.md'), 'utf8')
for (const [, code] of errors.matchAll(/^ {2}(ERR_[A-Z_]+):/gm)) {
  if (!table.includes(code)) faults.push(`docs/errors.md does not list the error code ${code}`)
}
for (const [code] of table.matchAll(/\bERR_[A-Z_]+\b/g)) {
  if (code !== 'ERR_OUT_OF_RANGE' && !errors.includes(`  ${code}:`))
    faults.push(`docs/errors.md lists ${code}, which does not exist`)
}
fs.writeFileSync(
  path.join(folder, 'frameworks.d.ts'),
  frameworks.map((name) => `declare module '${name}'`).join('\n')
)
const config = {
  extends: '../tsconfig.json',
  compilerOptions: {
    noEmit: true,
    rootDir: '..',
    noUnusedLocals: false,
    isolatedDeclarations: false,
    declaration: false,
    // A new Next.js project has the last one.
    paths: { piecewise: ['../lib/index.ts'], 'piecewise/*': ['../lib/*.ts'], '@/*': ['./*.ts'] }
  },
  include: ['*.ts']
}
fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(config))
const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
const run = spawnSync(process.execPath, [tsc, '-p', folder], { cwd: root, encoding: 'utf8' })
const lines = run.stdout.split('\n').filter((line) => line !== '')
if (run.status !== 0 && lines.length === 0) faults.push(`tsc failed: ${run.error ?? run.stderr}`)
faults.push(...lines.filter((line) => !isUntypedParameter(line)))
fs.rmSync(folder, { recursive: true, force: true })
for (const fault of faults) console.error(fault)
console.log(`${count} snippets compile`)
process.exitCode = faults.length === 0 ? 0 : 1

function isUntypedParameter(line) {
  const [, file] = /^(?:.*[\\/])?(snippet-\d+\.ts)\(\d+,\d+\): error TS70(?:06|31):/.exec(line) ?? []
  return untyped.has(file)
}
