// Writes docs/trust.json, the table of trust, into SECURITY.md between its two marks.
//   node scripts/trust-table.mjs [--check]
//   --check changes nothing, and fails when SECURITY.md differs.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..')
const file = path.join(root, 'SECURITY.md')
const marks = ['<!-- trust -->\n', '<!-- /trust -->']
const { columns, rows } = JSON.parse(readFileSync(path.join(root, 'docs/trust.json'), 'utf8'))

function line(cells) {
  return `| ${cells.join(' | ')} |\n`
}

function table(title, keys) {
  const head = line([title, ...keys.map((key) => columns[key])]) + line(['---', ...keys.map(() => '---')])
  const body = Object.values(rows).map((row) => line([row.title, ...keys.map((key) => row.cells[key])]))
  return head + body.join('')
}

const keys = Object.keys(columns)
const printed = `${table('may have dialled', keys.slice(0, 6))}\n${table('may cause', keys.slice(6))}`
const text = readFileSync(file, 'utf8')
const [from, to] = [text.indexOf(marks[0]) + marks[0].length, text.indexOf(marks[1])]
if (from < marks[0].length || to < from) throw new Error(`SECURITY.md has no ${marks.join(' … ')}`)
const wanted = `${text.slice(0, from)}${printed}${text.slice(to)}`
if (process.argv.includes('--check')) {
  if (wanted === text) process.exit(0)
  console.error('SECURITY.md does not print docs/trust.json: node scripts/trust-table.mjs')
  process.exit(1)
}
writeFileSync(file, wanted)
