import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { readTree, writeTree } from './bencode-tree.ts'
import { execute } from './execution.ts'
import { Finding } from './finding.ts'
import { Fuzzer } from './fuzzer.ts'
import { minimise } from './minimise.ts'
import { committedCorpus, root } from './store.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

/** Executions of each target in this test, besides its first inputs. */
const executions = 150

for (const target of targets) {
  test(`fuzzing '${target.name}' finds nothing in ${executions} executions`, async () => {
    const fuzzer = new Fuzzer({ target, seed: 20260131, corpus: committedCorpus(target) })
    const found: string[] = []
    for await (const [input, { message }] of fuzzer.begin()) found.push(`${message}: ${quoted(input)}`)
    for (let n = 0; n < executions; n++) {
      const result = await fuzzer.next()
      if (result !== undefined) found.push(`${result[1].message}: ${quoted(result[0])}`)
    }
    assert.deepEqual(found, [])
    assert.ok(fuzzer.outcomes > 1, 'all inputs have one outcome')
  })
}

function quoted(input: Uint8Array): string {
  return Buffer.from(input).toString('base64').slice(0, 2000)
}

test('the same seed makes the same inputs', async () => {
  const [target] = targets
  assert.ok(target !== undefined)
  const inputsOf = async (seed: number): Promise<string[]> => {
    const inputs: string[] = []
    const onInput = (input: Uint8Array): number => inputs.push(quoted(input))
    const fuzzer = new Fuzzer({ target, seed, corpus: committedCorpus(target), onInput })
    for await (const _ of fuzzer.begin());
    for (let n = 0; n < 50; n++) await fuzzer.next()
    return inputs
  }
  assert.deepEqual(await inputsOf(7), await inputsOf(7))
  assert.notDeepEqual(await inputsOf(7), await inputsOf(8))
})

/** Returns a parser with a fault for inputs that hold an `x`. */
function faulty(run: Target['run']): Target {
  const isBad = (input: Uint8Array): boolean => input.includes(0x78)
  return {
    name: 'faulty',
    grammar: 'bytes',
    corpus: [],
    run: (input, check) => (isBad(input) ? run(input, check) : 'fine')
  }
}

const kept: Uint8Array[] = []
const faults: readonly (readonly [string, Target['run']])[] = [
  [
    'escape',
    () => {
      throw new TypeError('undefined is no function')
    }
  ],
  ['invariant', (_, check) => check.equal(1, 2, 'one is not two')],
  ['turn', (_, check) => check.turn(spin)],
  ['memory', () => new Uint8Array(32 << 20)]
]

/** Uses CPU for longer than a turn may take. */
function spin(): void {
  const from = process.cpuUsage()
  for (;;) {
    const { user, system } = process.cpuUsage(from)
    if (user + system > 150_000) return
  }
}

for (const [kind, run] of faults) {
  test(`a parser with a fault of the kind '${kind}' is found`, async () => {
    const target = faulty(run)
    const fuzzer = new Fuzzer({ target, seed: 1, corpus: [Buffer.from('0123456789x')] })
    const found: string[] = []
    for await (const [, finding] of fuzzer.begin()) found.push(finding.kind)
    assert.deepEqual(found, [kind])
  })
}

test('a parser that keeps its inputs is reported as growing', async () => {
  const target = faulty(() => kept.push(new Uint8Array(1 << 20).fill(1)))
  const fuzzer = new Fuzzer({ target, seed: 1, corpus: [] })
  let finding: Finding | undefined
  for (let window = 0; window < 12 && finding === undefined; window++) {
    for (let n = 0; n < 4; n++) await execute(target, Buffer.from('x'))
    finding = fuzzer.checkGrowth()
  }
  assert.equal(finding?.kind, 'growth')
  kept.length = 0
})

test('a refusal is no finding, whatever its code', async () => {
  const target = faulty(() => {
    throw new TorrentError('ERR_METAINFO_INVALID', 'no')
  })
  assert.match((await execute(target, Buffer.from('x'))).shape, /^ERR_METAINFO_INVALID/)
})

test('an input with a finding is minimised', async () => {
  const target = faulty((_, check) => check.that(false, 'bad'))
  const input = Buffer.from(`${'a'.repeat(100)}x${'b'.repeat(100)}`)
  const finding = await execute(target, input).catch((thrown: unknown) => thrown)
  assert.ok(finding instanceof Finding)
  const small = await minimise({ target, finding, timeMs: Number.POSITIVE_INFINITY }, input)
  assert.equal(Buffer.from(small).toString(), 'x')
})

test('bencode of other programs is parsed to a tree that writes the same bytes', () => {
  for (const kind of ['torrent', 'krpc', 'extended', 'pex', 'http-reply']) {
    const folder = path.join(root, 'test/fuzz/corpus', kind)
    for (const file of readdirSync(folder)) {
      const bytes = new Uint8Array(readFileSync(path.join(folder, file)))
      const tree = readTree(bytes)
      if (kind !== 'extended') assert.ok(tree !== undefined, `${kind}/${file} is no bencode`)
      if (tree !== undefined) assert.deepEqual(writeTree(tree), bytes)
    }
  }
})
