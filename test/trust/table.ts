import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'

interface Table {
  readonly columns: Readonly<Record<string, string>>
  readonly rows: Readonly<
    Record<string, { readonly title: string; readonly cells: Readonly<Record<string, string>> }>
  >
}

/** The test of a cell. */
export type CellTest = (t: TestContext) => void | Promise<void>

function findRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder)
  return folder
}

const root = findRoot()
const table = JSON.parse(readFileSync(path.join(root, 'docs/trust.json'), 'utf8')) as Table
const tested = new Map<string, number>()

/** Defines the test of one cell of the table of trust. */
export function cell(row: string, column: string, body: CellTest): void {
  const verdict = table.rows[row]?.cells[column]
  const name = `${row} / ${column}`
  tested.set(name, (tested.get(name) ?? 0) + 1)
  test(`trust: ${name}: ${verdict ?? '?'}`, (t) => {
    assert.ok(verdict !== undefined, `the table has no cell ${name}`)
    return body(t)
  })
}

/** Tests the table itself. Call it once all cells are defined. */
export function checkTable(): void {
  test('each cell of the table of trust has one test, and each test a cell', () => {
    const columns = Object.keys(table.columns)
    const cells = Object.entries(table.rows).flatMap(([row, { cells: own }]) => {
      assert.deepEqual(Object.keys(own), columns, row)
      for (const [column, verdict] of Object.entries(own)) assert.notEqual(verdict, '', `${row} / ${column}`)
      return columns.map((column) => `${row} / ${column}`)
    })
    assert.deepEqual([...tested.keys()].sort(), cells.sort())
    assert.deepEqual(
      [...tested].filter(([, count]) => count !== 1),
      []
    )
  })

  test('SECURITY.md prints the table of trust', () => {
    const script = path.join(root, 'scripts/trust-table.mjs')
    const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' })
    assert.equal(status, 0, stderr)
  })
}
