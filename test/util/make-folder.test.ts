import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { makeFolder } from '../../lib/util/make-folder.ts'

function scratch(t: TestContext): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'piecewise-folder-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('makes missing folders and returns the first one made', async (t) => {
  const root = scratch(t)
  const deep = path.join(root, 'a', 'b', 'c')
  assert.equal(await makeFolder(deep, { mode: 0o700 }), path.join(root, 'a'))
  assert.ok(statSync(deep).isDirectory())
  if (process.platform !== 'win32') assert.equal(statSync(path.join(root, 'a')).mode & 0o777, 0o700)
  assert.equal(await makeFolder(deep), undefined)
  assert.equal(await makeFolder(`${deep}/../d/`), path.join(root, 'a', 'b', 'd'))
  assert.equal(await makeFolder(path.parse(root).root), undefined)
})

test('several calls may make one folder at a time', async (t) => {
  const deep = path.join(scratch(t), 'a', 'b', 'c')
  const made = await Promise.all(Array.from({ length: 20 }, () => makeFolder(deep)))
  assert.ok(made.some((first) => first !== undefined))
  assert.ok(statSync(deep).isDirectory())
})

test('a link to a folder counts as one, and anything else is an error', async (t) => {
  const root = scratch(t)
  writeFileSync(path.join(root, 'file'), '')
  symlinkSync(root, path.join(root, 'link'))
  symlinkSync(path.join(root, 'nowhere'), path.join(root, 'dangling'))
  assert.equal(await makeFolder(path.join(root, 'link', 'x')), path.join(root, 'link', 'x'))
  assert.ok(existsSync(path.join(root, 'x')))
  for (const name of ['file', 'file/x', 'dangling', 'dangling/x'])
    await assert.rejects(makeFolder(path.join(root, name)), { code: 'EEXIST' }, name)
  await assert.rejects(makeFolder(path.join(root, 'n'.repeat(300))), { code: 'ENAMETOOLONG' })
})

// In a child process, because a call that never returns would keep this one alive.
const program = `
import assert from 'node:assert/strict'
import { makeFolder } from '${new URL('../../lib/util/make-folder.js', import.meta.url).href}'
import { Client } from '${new URL('../../lib/index.js', import.meta.url).href}'
await assert.rejects(makeFolder('/proc/x/y'), { code: 'ENOENT' })
const options = { host: '127.0.0.1', dht: false, lsd: false }
const client = new Client({ ...options, state: '/proc/x/state' })
const warnings = []
client.on('warning', (warning) => warnings.push(warning.code))
const torrent = 'd4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:' + 'x'.repeat(20) + 'ee'
for (const path of ['/proc/x/y', '/proc/self/x']) {
  const added = await client.add(Buffer.from(torrent), { path }).then(() => undefined, (error) => error)
  if (added !== undefined) assert.equal(added.name, 'TorrentError')
}
await client.close()
assert.ok(warnings.includes('ERR_CLIENT_STATE'), String(warnings))
`

test('a folder that cannot be made keeps no process from ending', {
  skip: !existsSync('/proc/self')
}, async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  assert.equal(code, 0, errors)
})
