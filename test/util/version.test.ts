import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import test from 'node:test'
import { version } from '../../lib/util/version.ts'

test('the version is that of package.json', () => {
  const file = createRequire(import.meta.url).resolve('piecewise/package.json')
  assert.equal(version, JSON.parse(readFileSync(file, 'utf8')).version)
})
