import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TorrentError } from '../../lib/util/errors.ts'
import type { Fault } from '../support/crash-disk.ts'
import { assertSame, Bench, type Sample } from '../torrent/bench.ts'
import { listenAs } from '../torrent/evil-peer.ts'

const program = fileURLToPath(new URL('./run-client.js', import.meta.url))
/** `CRASH_STEPS=all` stops at each step; the default is a sample of the steps. */
const runs = process.env['CRASH_STEPS'] === 'all' ? Number.POSITIVE_INFINITY : 8

interface Ended {
  /** Facts reported as done. */
  readonly facts: readonly string[]
  readonly signal: string | null
  readonly status: number | null
}

async function runUntil(
  folder: string,
  source: string,
  peer: string,
  fault: Fault,
  at: number
): Promise<Ended> {
  mkdirSync(folder, { recursive: true })
  const child = spawn(process.execPath, [program, folder, source, peer, fault, String(at)], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const late = setTimeout(() => child.kill('SIGKILL'), 30_000)
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (...args) => resolve(args))
  })
  clearTimeout(late)
  return { facts: text.split('\n').filter((line) => line !== ''), status, signal }
}

/**
 * Runs a client over the folder that the program has left. Asserts that it has the reported facts and
 * completes. Returns the fetched bytes.
 */
async function goOn(bench: Bench, folder: string, sample: Sample, peer: string): Promise<number> {
  const client = bench.client({ state: path.join(folder, 'state'), path: path.join(folder, 'data') })
  const warnings: Error[] = []
  client.on('warning', (warning) => warnings.push(warning))
  await client.restored()
  const torrent = await client.add(sample.bytes, { peers: [peer] })
  torrent.select([...torrent.files.keys()])
  await torrent.whenDone()
  await client.close()
  assertSame(torrent, sample)
  const distrust = warnings.filter(
    (error) => error instanceof TorrentError && /STATE|RESUME/.test(error.code)
  )
  assert.deepEqual(distrust, [])
  return torrent.received
}

async function play(t: TestContext, fault: Fault): Promise<void> {
  const bench = new Bench(t)
  const sample = await bench.sample({ 'pack/a.bin': 50_000, 'pack/b.bin': 70_000, 'pack/sub/c.bin': 80_000 })
  const { address } = await listenAs(bench, sample)
  const source = path.join(bench.folder(), 'source.torrent')
  writeFileSync(source, sample.bytes)
  const whole = await runUntil(bench.folder(), source, address, fault, Number.POSITIVE_INFINITY)
  assert.deepEqual(whole.facts.slice(0, 3), ['restored 0', 'selected', 'all'])
  const steps = Number(whole.facts[3]?.split(' ')[1])
  assert.ok(steps > 20, `${steps} steps`)
  t.diagnostic(`${steps} steps`)
  const stride = Math.max(1, steps / runs)
  for (let n = 0; n * stride < steps; n++) {
    const at = 1 + Math.floor(n * stride)
    const folder = bench.folder()
    const { facts, signal, status } = await runUntil(folder, source, address, fault, at)
    const what = `step ${at}: ${facts.join(', ')}`
    // Order and number of steps vary a little from run to run.
    if (fault === 'full') assert.equal(status, 0, what)
    else
      assert.ok(signal === 'SIGKILL' ? !facts.some((fact) => fact.startsWith('closed')) : status === 0, what)
    const received = await goOn(bench, folder, sample, address)
    if (facts.includes('all')) assert.equal(received, 0, what)
    // The unselected file has a larger part of the second piece than the files next to it.
    else if (facts.includes('selected')) assert.ok(received <= 32768, `${what}: ${received} bytes again`)
    assert.equal(await goOn(bench, folder, sample, address), 0, what)
  }
}

test('a client killed at any step keeps its reported facts, and resumes', { timeout: 600_000 }, (t) =>
  play(t, 'die')
)
test('a client killed in the middle of a write resumes', { timeout: 600_000 }, (t) => play(t, 'tear'))
test('a client whose disk is full resumes once there is space', { timeout: 600_000 }, (t) => play(t, 'full'))
