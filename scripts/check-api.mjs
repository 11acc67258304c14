// Compares the API in the built .d.ts files with the committed report (test/api/current.txt). Requires that CHANGELOG.md names, in
// backticks under the version of package.json, every difference from the previous release (test/api/<version>.txt).
//   node scripts/check-api.mjs [--write] [--root <package folder>]
//   --write updates test/api/current.txt. A release copies that file to its own version, as the base for the next release.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { apiReport, changedNames, unnamed } from './api-report.mjs'

const args = process.argv.slice(2)
const rootAt = args.indexOf('--root')
const root = path.resolve(
  rootAt >= 0 ? args[rootAt + 1] : path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
)
const folder = path.join(root, 'test/api')
const current = path.join(folder, 'current.txt')
const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
const refresh = 'npm run build && node scripts/check-api.mjs --write'

function linesOf(file) {
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : []
}

/** Returns the version of the previous release. */
function baseline() {
  const byNumber = (a, b) => a.localeCompare(b, 'en', { numeric: true })
  const released = readdirSync(folder).flatMap((name) => /^(\d+\.\d+\.\d+)\.txt$/.exec(name)?.[1] ?? [])
  return released
    .filter((one) => byNumber(one, version) < 0)
    .sort(byNumber)
    .at(-1)
}

/** Returns the text under `## <version>`, up to the next version. */
function changelogSection() {
  const text = readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8')
  return text.split(/^## /m).find((part) => part.split('\n', 1)[0]?.trim() === version) ?? ''
}

const now = apiReport(root)
if (args.includes('--write')) writeFileSync(current, `${now.join('\n')}\n`)
const known = linesOf(current)
const faults = []
const stale = [
  ...known.filter((line) => !now.includes(line)).map((line) => `  - ${line}`),
  ...now.filter((line) => !known.includes(line)).map((line) => `  + ${line}`)
]
if (known.join('\n') !== now.join('\n')) {
  faults.push(
    `test/api/current.txt is not what the .d.ts files say:\n${stale.join('\n')}\n\nIf that is meant, or if the file was merged: ${refresh}`
  )
}
const before = baseline()
if (before !== undefined) {
  const old = linesOf(path.join(folder, `${before}.txt`))
  const missing = unnamed(changedNames(old, now), changelogSection(), [...old, ...now])
  const lines = missing.map((name) => {
    const isOf = (line) => line.startsWith(`${name}  `)
    const difference = [
      ...old.filter((line) => isOf(line) && !now.includes(line)).map((line) => `    - ${line}`),
      ...now.filter((line) => isOf(line) && !old.includes(line)).map((line) => `    + ${line}`)
    ]
    return `  \`${name}\`\n${difference.join('\n')}`
  })
  if (missing.length > 0) {
    faults.push(
      `The API differs from that of ${before}. Under "## ${version}" of CHANGELOG.md a point must name, in backticks:\n${lines.join('\n')}`
    )
  }
}
if (faults.length > 0) {
  console.error(faults.join('\n\n'))
  process.exit(1)
}
console.log(
  `${now.length} lines of API, as reported; changes since ${before ?? 'the beginning'} are in CHANGELOG.md`
)
