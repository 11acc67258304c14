import type { Layout } from '../metainfo/layout.ts'
import type { TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { runStepsInSlices, type Steps, yieldToEventLoop } from '../util/slices.ts'
import { type FilePaths, isNowhere } from './file-paths.ts'
import type { FileStat } from './storage.ts'
import { storageError } from './storage-error.ts'
import { fileStat, type StorageFs } from './storage-fs.ts'

export interface FileState {
  /** Whether the file may be created. */
  wanted: boolean
  /** Real path; also for a file that does not exist yet. */
  path: string
  /** Error that explains why the file cannot exist, when something else is at its path. */
  blocked: TorrentError | undefined
  /** Whether the last lookup found no file. */
  missing: boolean
  /** Whether this storage made the file or wrote to it. */
  created: boolean
  /**
   * Result of the last lookup: null when there was no file, undefined when the file must be looked up again. It is refreshed only after our
   * own writes and checks, so that a resume record tells how we left the file and later changes by others are noticed.
   */
  found: FileStat | null | undefined
  /** Number of calls of `forget`. */
  forgotten: number
}

/** Parts of {@link FileStates}. */
export interface FileStatesOptions {
  readonly fs: StorageFs
  readonly layout: Layout
  readonly paths: FilePaths
}

/** Files looked up in parallel. */
const parallel = 16
/** Files looked up before yielding to the event loop. */
const filesOfPart = 256
/** States made before yielding to the event loop. */
const statesOfStep = 2000

/** States of a torrent's files, known without opening them. Only the owner sets `wanted`. */
export class FileStates {
  readonly #fs: StorageFs
  readonly #layout: Layout
  readonly #paths: FilePaths
  readonly #states: FileState[] = []

  constructor({ fs, layout, paths }: FileStatesOptions) {
    this.#fs = fs
    this.#layout = layout
    this.#paths = paths
  }

  /** One state for each file of the layout; pad files are never looked up. */
  get all(): readonly FileState[] {
    return this.#states
  }

  /** Makes the states of all files; call it once, first. `created` are the paths that an earlier run created. */
  async begin(created: ReadonlySet<string>): Promise<void> {
    await runStepsInSlices(this.#beginSteps(created))
  }

  /** Looks up every file. */
  async probe(): Promise<void> {
    await this.#paths.remembering(async () => {
      for (let start = 0; start < this.#states.length; start += filesOfPart) {
        const pause = yieldToEventLoop()
        if (pause !== undefined) await pause
        await this.#probePart(start, Math.min(this.#states.length, start + filesOfPart))
      }
    })
  }

  async #probePart(start: number, end: number): Promise<void> {
    const unknown: number[] = []
    for (let index = start; index < end; index++) {
      if (!this.#isPad(index) && !this.#isKnownMissing(index)) unknown.push(index)
    }
    await forEachLimit(unknown.length, parallel, (n) => {
      const index = unknown[n] ?? 0
      // Another lookup may have found that the folder is missing.
      return this.#isKnownMissing(index) ? undefined : this.probeFile(index)
    })
  }

  /** Looks up a file; an obstacle is kept in its state as `blocked`. */
  async probeFile(fileIndex: number): Promise<void> {
    const state = this.#states[fileIndex]
    if (state === undefined) return
    state.blocked = undefined
    try {
      state.found = undefined
      const place = await this.#paths.place(fileIndex)
      if (place.exists) {
        state.found = place.stat
        state.path = place.path
        state.missing = false
      } else setMissing(state, place.path)
    } catch (error) {
      state.blocked = storageError(error, 'read', state.path)
    }
  }

  /** Makes the next `stats` look the file up again. */
  forget(fileIndex: number): void {
    const state = this.#states[fileIndex]
    if (state === undefined) return
    state.found = undefined
    state.forgotten++
  }

  /** Returns size and time of a file, or undefined when there is none. */
  async stat(fileIndex: number): Promise<FileStat | undefined> {
    const state = this.#states[fileIndex]
    if (state === undefined || state.blocked !== undefined || this.#isPad(fileIndex)) return undefined
    try {
      const stats = await this.#fs.lstat(state.path, { bigint: true })
      return stats.isFile() ? fileStat(stats) : undefined
    } catch (error) {
      if (isNowhere(error)) return undefined
      throw storageError(error, 'read', state.path)
    }
  }

  /** Returns sizes and times of all files of the layout, as of the last write, check or first lookup of each. */
  async stats(): Promise<(FileStat | undefined)[]> {
    const stats = this.#states.map(({ found }) => found ?? undefined)
    const unknown = this.#states.flatMap(({ found }, index) =>
      found === undefined && !this.#isPad(index) ? [index] : []
    )
    await forEachLimit(unknown.length, parallel, async (n) => {
      const index = unknown[n] ?? 0
      const state = this.#states[index]
      const before = state?.forgotten
      const stat = await this.stat(index)
      stats[index] = stat
      if (state !== undefined && state.forgotten === before) state.found = stat ?? null
    })
    return stats
  }

  /** Returns whether a file must be missing because its folder is, and records that in its state. */
  #isKnownMissing(fileIndex: number): boolean {
    const state = this.#states[fileIndex]
    const path = this.#paths.missingPath(fileIndex)
    if (state === undefined || path === undefined) return false
    state.blocked = undefined
    setMissing(state, path)
    return true
  }

  #isPad(fileIndex: number): boolean {
    return this.#layout.files[fileIndex]?.pad !== false
  }

  *#beginSteps(created: ReadonlySet<string>): Steps<void> {
    for (const [fileIndex, { path }] of this.#layout.files.entries()) {
      if (fileIndex % statesOfStep === statesOfStep - 1) yield
      this.#states.push({
        wanted: false,
        path: this.#paths.nominal(fileIndex),
        blocked: undefined,
        missing: false,
        created: created.has(path),
        found: undefined,
        forgotten: 0
      })
    }
  }
}

function setMissing(state: FileState, path: string): void {
  state.found = null
  state.path = path
  state.missing = true
  // Another program removed the file, so a file that appears there later is not ours.
  state.created = false
}
