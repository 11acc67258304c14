import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { local, runCommand, start, temporaryFolder } from './run-command.ts'
import { bytesOf, seedFiles } from './seeder.ts'

test("download leaves a user's file alone, reports it in one sentence, and accepts --overwrite", async (t) => {
  const folder = temporaryFolder(t)
  const film = bytesOf(300_000, 1)
  const { torrentPath, address } = await seedFiles(t, folder, 'film.mkv', { 'film.mkv': film })
  const at = path.join(folder, 'out', 'film.mkv')
  mkdirSync(path.join(folder, 'out'))
  writeFileSync(at, 'what the user wrote')
  const args = ['download', torrentPath, '--dir', 'out', '--peer', address, ...local]
  for (const more of [[], ['--json']]) {
    const { code, stderr } = await runCommand(t, folder, [...args, ...more])
    assert.equal(code, 1)
    assert.match(
      stderr,
      /^piecewise: \S*out\/film\.mkv is there already and is not known to belong to the torrent: [^\n]*--overwrite\)\n$/
    )
    assert.equal(readFileSync(at, 'utf8'), 'what the user wrote')
  }
  const stream = await runCommand(t, folder, [
    'stream',
    torrentPath,
    '--dir',
    'out',
    '--peer',
    address,
    '--stdout',
    ...local
  ])
  assert.equal(stream.code, 1)
  assert.match(stream.stderr, /is there already/)
  renameSync(at, `${at}.mine`)
  const moved = await runCommand(t, folder, args)
  assert.equal(moved.code, 0, moved.stderr)
  renameSync(`${at}.mine`, at)
  writeFileSync(at, 'what the user wrote')
  const over = await runCommand(t, folder, [...args, '--state', 'other', '--overwrite'])
  assert.equal(over.code, 0, over.stderr)
  assert.deepEqual(new Uint8Array(readFileSync(at)), film)
})

for (const [what, home] of [
  ['its state elsewhere', false],
  ['its state and the key inside of the folder', true]
] as const) {
  test(`a young download killed at any moment resumes without --overwrite, with ${what}`, {
    timeout: 110_000
  }, async (t) => {
    const folder = temporaryFolder(t)
    const files: Record<string, Uint8Array> = {}
    for (let n = 0; n < 40; n++) files[`pack/${n % 4}/${n}.bin`] = bytesOf(70_000, n + 1)
    const { torrentPath, address } = await seedFiles(t, folder, 'pack', files, { pieceLength: 524_288 })
    const out = path.join(folder, 'out')
    const env = home ? { XDG_STATE_HOME: path.join(out, '.local', 'state'), HOME: out } : {}
    const args = ['download', torrentPath, '--dir', 'out', '--peer', address, ...local]
    const isThere = (): boolean => existsSync(path.join(out, 'pack'))
    for (let n = 0; n < 8; n++) {
      const run = start(t, folder, args, undefined, env)
      if (n < 4 && !isThere()) while (!isThere() && run.child.exitCode === null) await turn()
      else await run.find(/pack/)
      await delay(n * 3)
      run.child.kill('SIGKILL')
      await run.ended
      assert.doesNotMatch(run.stderr, /is there already/)
    }
    const last = start(t, folder, args, undefined, env)
    assert.equal(await last.ended, 0, last.stderr)
    for (const [name, bytes] of Object.entries(files))
      assert.deepEqual(new Uint8Array(readFileSync(path.join(out, name))), bytes, name)
    assert.ok(readdirSync(out).includes('pack'))
  })
}
