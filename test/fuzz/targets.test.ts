import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { root } from './store.ts'
import { targets } from './targets.ts'

/** Exported functions that parse, decode or unpack. */
const parser = /^export (?:async )?function\*? ((?:parse|decode|unpack)\w*)/gm

function sourcesIn(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(path.join(root, folder, file), 'utf8'))
}

test('every parser of lib/ is called by a target of the fuzzer', () => {
  const called = sourcesIn('test/fuzz/targets').join('\n')
  const parsers = sourcesIn('lib').flatMap((text) => [...text.matchAll(parser)].map(([, name = '']) => name))
  assert.ok(parsers.length > 30)
  const missing = parsers.filter((name) => !new RegExp(`\\b${name}\\(`).test(called))
  assert.deepEqual(missing, [])
})

test('every target has a name of its own and first inputs', () => {
  assert.equal(new Set(targets.map(({ name }) => name)).size, targets.length)
  const used = new Set(targets.flatMap(({ corpus }) => corpus))
  assert.deepEqual([...used].sort(), readdirSync(path.join(root, 'test/fuzz/corpus')).sort())
})
