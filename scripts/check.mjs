// `npm test`: format and lint, types, package, API, documents, then all unit tests and swarms on loopback. Needs only Node.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const steps = [
  ['Format and lint', ['node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings', '.']],
  ['Types and build', ['scripts/build.mjs']],
  ['Package', ['scripts/check-package.mjs']],
  ['API', ['scripts/check-api.mjs']],
  ['API reference', ['scripts/api-docs.mjs']],
  ['Documents', ['scripts/check-readme.mjs']],
  ['Tests', ['scripts/test.mjs']]
]
for (const [title, args] of steps) {
  console.log(`\n== ${title}`)
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) {
    console.error(`\n${title}: failed`)
    process.exit(status ?? 1)
  }
}
