import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { RecordKey } from '../../lib/storage/record-key.ts'
import { RecordSeal, type RecordTrust } from '../../lib/storage/record-seal.ts'
import { withMac, withoutMac } from '../../lib/storage/signed-json.ts'

/** Runs a test with a folder of its own. */
function sealTest(title: string, body: (base: string) => Promise<void>): void {
  test(title, async () => {
    const base = mkdtempSync(join(tmpdir(), 'piecewise-seal-'))
    try {
      mkdirSync(join(base, 'data'))
      await body(base)
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
}

function sealOf(
  key: string | undefined,
  data: string,
  folder: string,
  kind = 'resume',
  others: string[] = []
): RecordSeal {
  return new RecordSeal(new RecordKey(key), { folder, about: data, data: [data, ...others], kind })
}

async function trustOf(seal: RecordSeal, text = '{"a":1}'): Promise<RecordTrust> {
  const sign = await seal.signer()
  return seal.trust(text, sign(text))
}

sealTest('records beside the data are trusted if a key outside of it seals them', async (base) => {
  const data = join(base, 'data')
  const seal = sealOf(join(base, 'key'), data, join(data, '.piecewise'))
  assert.equal(await trustOf(seal), 'trusted')
  assert.equal(await seal.trust('{"a":1}', undefined), 'unproven')
  const mac = (await seal.signer())('{"a":1}')
  assert.equal(await seal.trust('{"a":2}', mac), 'unproven', 'other content')
  assert.equal(await seal.trust('{"a":1}', '0'.repeat(64)), 'unproven', 'another signature')
  assert.equal(await seal.trust('{"a":1}', 'x'), 'unproven', 'no signature')
})

sealTest('a seal counts for one key, one place and one kind', async (base) => {
  const data = join(base, 'data')
  const mac = (await sealOf(join(base, 'key'), data, join(data, '.piecewise')).signer())('{}')
  const trust = (seal: RecordSeal): Promise<RecordTrust> => seal.trust('{}', mac)
  assert.equal(await trust(sealOf(join(base, 'key'), data, join(data, '.piecewise'))), 'trusted')
  await new RecordKey(join(base, 'key2')).findOrMake()
  assert.equal(await trust(sealOf(join(base, 'key2'), data, join(data, '.piecewise'))), 'unproven')
  assert.equal(await trust(sealOf(join(base, 'key'), data, join(data, '.piecewise'), 'session')), 'unproven')
  renameSync(data, join(base, 'moved'))
  assert.equal(
    await trust(sealOf(join(base, 'key'), join(base, 'moved'), join(base, 'moved', '.piecewise'))),
    'unproven'
  )
})

sealTest('a key inside the data seals only our own files', async (base) => {
  const data = join(base, 'data')
  const home = sealOf(join(data, '.local/state/piecewise'), data, join(data, '.piecewise'))
  assert.equal(await trustOf(home), 'sealed')
  // The state folder and the key are in one folder, as for the command in the home folder.
  const both = sealOf(join(data, '.local/state/piecewise'), data, join(data, '.local/state/piecewise'))
  assert.equal(await trustOf(both), 'sealed')
  assert.equal(await home.trust('{}', undefined), 'unproven')
})

sealTest('a state folder outside the data needs no seal, and none is made', async (base) => {
  const seal = sealOf(join(base, 'key'), join(base, 'data'), join(base, 'state'))
  assert.equal(await seal.trust('{}', undefined), 'trusted')
  assert.equal((await seal.signer())('{}'), undefined)
  assert.equal(await new RecordKey(join(base, 'key')).find(), undefined)
})

sealTest('the real path decides whether a path is inside the data', async (base) => {
  const data = join(base, 'data')
  mkdirSync(join(data, 'state'))
  symlinkSync(join(data, 'state'), join(base, 'outside'))
  assert.equal(await sealOf(undefined, data, join(base, 'outside')).trust('{}', undefined), 'unproven')
  symlinkSync(data, join(base, 'link'))
  assert.equal(
    await sealOf(undefined, join(base, 'link'), join(data, 'state')).trust('{}', undefined),
    'unproven'
  )
  mkdirSync(join(base, 'state'))
  symlinkSync(join(base, 'state'), join(data, 'way-out'))
  assert.equal(await sealOf(undefined, data, join(data, 'way-out')).trust('{}', undefined), 'trusted')
  // A path that does not exist yet, and the data folder itself.
  assert.equal(
    await sealOf(undefined, join(base, 'new'), join(base, 'new/.piecewise')).trust('{}', undefined),
    'unproven'
  )
  assert.equal(await sealOf(undefined, data, data).trust('{}', undefined), 'unproven')
  assert.equal(await sealOf(undefined, data, join(base, 'data2')).trust('{}', undefined), 'trusted')
})

sealTest('a state folder inside another folder of data is not trusted either', async (base) => {
  const seal = sealOf(undefined, join(base, 'elsewhere'), join(base, 'data/state'), 'resume', [
    join(base, 'data')
  ])
  assert.equal(await seal.trust('{}', undefined), 'unproven')
})

test('a signature is the last field of the JSON', () => {
  const mac = 'ab'.repeat(32)
  for (const json of ['{"a":1}', '{"a":",\\"mac\\":\\"x\\"}"}', '{"mac":1,"b":2}']) {
    assert.deepEqual(withoutMac(withMac(json, mac)), { json, mac })
    assert.deepEqual(withoutMac(withMac(json, undefined)), { json, mac: undefined })
    assert.equal((JSON.parse(withMac(json, mac)) as { mac: unknown }).mac, mac)
  }
})
