import type { Layout } from '../metainfo/layout.ts'
import type { TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { runStepsInTurns, type Steps, shareTurn } from '../util/turn-share.ts'
import { type FilePaths, isNowhere } from './file-paths.ts'
import type { FileStat } from './storage.ts'
import { storageError } from './storage-error.ts'
import { fileStat, type StorageFs } from './storage-fs.ts'

/** State of one file. */
export interface FileState {
  /** Whether it may appear. */
  wanted: boolean
  /** Real path, as it is or will be. */
  path: string
  /** Why the file cannot be, when something else is in its place. */
  blocked: TorrentError | undefined
  /** Whether there was none when it was looked for. */
  missing: boolean
  /** Whether this storage made the file or wrote to it. */
  created: boolean
  /**
   * Result of the last look at it, null where there was none. It is looked at again only after we wrote to it, so
   * that a record tells how we left a file, and what others did to it afterwards is noticed.
   */
  found: FileStat | null | undefined
  /** Counts when it was forgotten. */
  forgotten: number
}

/** Parts of {@link FileStates}. */
export interface FileStatesOptions {
  readonly fs: StorageFs
  readonly layout: Layout
  readonly paths: FilePaths
}

/** Files that are looked at in parallel. */
const parallel = 16
/** Files that are looked for without a pause. */
const filesOfPart = 256
/** States that are made without a pause. */
const statesOfStep = 2000

/** States of the files of a torrent, known without opening them. Only the owner sets `wanted`. */
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

  /** One state for each file of the layout; pad files are never looked at. */
  get all(): readonly FileState[] {
    return this.#states
  }

  /** Makes the states of all files, of which `created` were made in an earlier run; to be called once, before anything else. */
  async begin(created: ReadonlySet<string>): Promise<void> {
    await runStepsInTurns(this.#beginSteps(created))
  }

  /** Finds out where each file stands. */
  async probe(): Promise<void> {
    await this.#paths.remembering(async () => {
      for (let start = 0; start < this.#states.length; start += filesOfPart) {
        const turn = shareTurn()
        if (turn !== undefined) await turn
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
      // Another file may have shown that their folder is not there.
      return this.#isKnownMissing(index) ? undefined : this.probeFile(index)
    })
  }

  /** Finds out where a file stands; what is in its way is kept in its state. */
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

  /** The next stats look at the file again. */
  forget(fileIndex: number): void {
    const state = this.#states[fileIndex]
    if (state === undefined) return
    state.found = undefined
    state.forgotten++
  }

  /** Size and time of a file, or undefined where there is none. */
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

  /** Sizes and times of all files of the layout, as they were when each was last written here, checked, or first looked at. */
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

  /** Whether a file cannot be there because its folder was not; then its state says so. */
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
  // It was removed by others, so a new one would not be the one that was made here.
  state.created = false
}
