import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import createDebug from 'debug'
import { debug } from '../../lib/util/debug.ts'

test('loggers have the name of the package and are off by default', () => {
  const log = debug('nothing-in-particular')
  assert.equal(log.namespace, 'piecewise:nothing-in-particular')
  const before = createDebug.disable()
  assert.equal(log.enabled, false)
  createDebug.enable('piecewise:*')
  assert.equal(log.enabled, true)
  createDebug.enable(before)
})

/** Returns a line without the parts that vary from run to run. */
function shapeOf(line: string): string {
  return line.replace(/^.*?(?=piecewise:)/, '').replace(/\d[\d.:]*/g, '#')
}

test('a program that is slow in every way logs the lines in the documentation', {
  timeout: 60_000
}, async () => {
  const folder = path.dirname(fileURLToPath(import.meta.url))
  const program = path.join(folder, '../support/slow-transfer.js')
  const text = readFileSync(path.join(folder, '../../../docs/why-slow.md'), 'utf8')
  const env = { ...process.env, DEBUG: 'piecewise:*' }
  const { stderr } = await promisify(execFile)(process.execPath, [program], { env, maxBuffer: 64 << 20 })
  const seen = new Set(stderr.split('\n').map(shapeOf))
  const [, block = ''] = /```text\n([\s\S]*?)```/.exec(text) ?? []
  const examples = block.trim().split('\n')
  assert.deepEqual(
    examples.filter((line) => !seen.has(shapeOf(line))),
    []
  )
  const table = [...text.matchAll(/^\| `(piecewise:[a-z]+)`/gm)].map(([, namespace]) => namespace)
  assert.deepEqual([...new Set(examples.map((line) => line.split(' ')[0]))], table)
})
