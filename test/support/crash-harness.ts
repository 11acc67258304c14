// Imported before all of lib/, which reads functions of node:fs when it is loaded.
import './crash-disk.ts'
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { TorrentError } from '../../lib/util/errors.ts'
import { CrashDisk, type Fault } from './crash-disk.ts'

/** Facts that a run has reported as done, and facts that it has only begun, both in order. */
export interface Progress {
  readonly done: readonly string[]
  readonly begun: readonly string[]
}

/** A program that writes into a folder. Tests stop it at each of its writes. */
export interface Writer {
  readonly name: string
  /** Prepares the folder as an earlier, complete run leaves it. */
  before?(folder: string): Promise<void>
  /**
   * Runs once. `step` runs a part of it and reports its fact when that resolves. When a part rejects, which
   * only a full disk explains, `step` resolves with false and the run goes on.
   */
  run(folder: string, step: (fact: string, task: () => Promise<unknown>) => Promise<boolean>): Promise<void>
  /** Runs again over the folder. Asserts that reported facts hold, and that all else is either old or new. */
  after(folder: string, progress: Progress): Promise<void>
  /** Facts that a power cut may undo, because that costs only time. */
  readonly forgettable?: 'all' | readonly string[]
  /** Temporary files that may stay behind; each run has its own names for them. */
  readonly leaves?: RegExp
  /** Whether `step` may reject with an error that is no TorrentError, because the owner wraps it. */
  readonly rawErrors?: boolean
}

const titles: Readonly<Record<Fault, string>> = {
  die: 'killed before each step',
  tear: 'killed in the middle of each write',
  full: 'the disk is full from each step on',
  short: 'the disk is full at each step alone'
}

/** Defines one test for each way to stop a writer. */
export function testWriter(writer: Writer): void {
  for (const fault of ['die', 'tear', 'full', 'short'] as const) {
    test(`${writer.name}: ${titles[fault]}`, async (t) => {
      const steps = await stopEverywhere(writer, fault)
      t.diagnostic(`${steps.length} steps: ${steps.join(', ')}`)
    })
  }
}

/**
 * Runs a writer once for each of its steps and stops it there. Returns the steps; rejects when the next run
 * fails.
 */
export async function stopEverywhere(
  writer: Writer,
  fault: Fault,
  patienceMs = 20_000
): Promise<readonly string[]> {
  const base = mkdtempSync(path.join(tmpdir(), 'piecewise-crash-'))
  try {
    return await new Play(writer, fault, base, patienceMs).all()
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

/** Stops a writer at each step in the same way. */
class Play {
  readonly #writer: Writer
  readonly #fault: Fault
  readonly #base: string
  readonly #patienceMs: number

  constructor(writer: Writer, fault: Fault, base: string, patienceMs: number) {
    this.#writer = writer
    this.#fault = fault
    this.#base = base
    this.#patienceMs = patienceMs
  }

  async all(): Promise<readonly string[]> {
    const { disk, progress } = await this.#run(path.join(this.#base, 'whole'), Number.POSITIVE_INFINITY)
    const steps = [...disk.steps]
    assert.deepEqual(progress.done, progress.begun, 'nothing fails by itself')
    if (this.#fault === 'die') await about('at the end', () => this.#afterPowerCuts(disk, progress))
    await this.#after(disk.folder, progress)
    await disk.close()
    const tree = this.#treeOf(disk.folder)
    for (let at = 1; at <= steps.length; at++) {
      const step = steps[at - 1] ?? ''
      if (this.#fault === 'tear' && !/^(?:write|append)/.test(step)) continue
      await about(`step ${at}, ${step}`, () => this.#stopAt(at, tree))
    }
    return steps
  }

  async #stopAt(at: number, tree: readonly string[]): Promise<void> {
    const folder = path.join(this.#base, `step${at}`)
    const { disk, progress } = await this.#run(folder, at)
    assert.ok(disk.hasFailed, 'the step came')
    const isDead = this.#fault === 'die' || this.#fault === 'tear'
    const found = isDead ? `${folder}.next` : folder
    if (isDead) {
      await disk.copyTo(found)
      await this.#afterPowerCuts(disk, progress)
    }
    await disk.close()
    await this.#after(found, progress)
    // Files of the stopped run neither block a complete run nor stay behind.
    const again = await this.#run(found, Number.POSITIVE_INFINITY, false)
    assert.deepEqual(again.progress.done, again.progress.begun, 'the next run has no fault')
    await this.#after(found, again.progress)
    await again.disk.close()
    assert.deepEqual(this.#treeOf(found), tree, 'files that are left')
  }

  async #afterPowerCuts(disk: CrashDisk, progress: Progress): Promise<void> {
    for (const loss of ['synced', 'named'] as const) {
      const found = `${disk.folder}-${loss}`
      await disk.salvageTo(found, loss)
      const { forgettable = [] } = this.#writer
      const done = progress.done.filter((fact) => forgettable !== 'all' && !forgettable.includes(fact))
      await about(`after a power cut, only ${loss}`, () =>
        this.#after(found, { done, begun: progress.begun })
      )
    }
  }

  async #after(folder: string, progress: Progress): Promise<void> {
    await this.#inTime('the next run', this.#writer.after(folder, progress))
  }

  /** Runs the writer until it ends or dies. */
  async #run(folder: string, at: number, isNew = true): Promise<{ disk: CrashDisk; progress: Progress }> {
    mkdirSync(folder, { recursive: true })
    if (isNew) await this.#writer.before?.(folder)
    const disk = new CrashDisk(folder)
    disk.arm(this.#fault, at)
    const done: string[] = []
    const begun: string[] = []
    const step = async (fact: string, task: () => Promise<unknown>): Promise<boolean> => {
      begun.push(fact)
      try {
        await task()
      } catch (error) {
        const isRight = this.#writer.rawErrors === true || error instanceof TorrentError
        assert.ok(isRight, `${fact}: ${String(error)}`)
        return false
      }
      done.push(fact)
      return true
    }
    const running = this.#writer.run(disk.folder, step)
    await this.#inTime('the run', Promise.race([running, disk.death]))
    disk.free()
    return { disk, progress: { done: [...done], begun: [...begun] } }
  }

  #treeOf(folder: string): string[] {
    const names = readdirSync(folder, { recursive: true }).map(String).sort()
    return names.filter((name) => this.#writer.leaves?.test(name) !== true)
  }

  async #inTime<T>(what: string, promise: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${what} hangs`)), this.#patienceMs)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }
}

async function about(what: string, task: () => Promise<void>): Promise<void> {
  try {
    await task()
  } catch (error) {
    if (error instanceof Error) error.message = `${what}: ${error.message}`
    throw error
  }
}
