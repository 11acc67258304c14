import { join } from 'node:path'
import { readWhole, replaceFile, replaceWithoutFolderSync } from '../storage/atomic-write.ts'
import { nodeFs } from '../storage/storage-fs.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { makeFolder } from '../util/make-folder.ts'
import { runStepsInSlices } from '../util/slices.ts'
import { FolderLock } from './folder-lock.ts'
import { encodeSavedTorrents, maxSavedLength, readSavedSteps, type SavedLine } from './saved-torrents.ts'
import type { SavedTorrentsTrust } from './saved-torrents-trust.ts'

/** Delay of a save in milliseconds, so that changes in quick succession are saved together. */
const saveAfterMs = 250
/** Least milliseconds between the starts of two saves. */
const saveEveryMs = 1000
/** Milliseconds between saves when only transfer counters have changed. */
const countersEveryMs = 60_000
/** Number of .torrent files that are written at a time. */
const writesAtOnce = 8

/** Callbacks of a {@link SavedList}. */
export interface SavedListEvents {
  /** Returns the torrents that a restart should restore, in queue order. */
  torrents(): readonly TorrentSession[]
  warning(error: Error): void
}

/**
 * The saved torrents in a state folder. `client.session` is the list, `<info hash>.torrent` the metadata of each torrent, and the resume
 * records contain the piece states. The list is written atomically, after the metadata that it needs.
 */
export class SavedList {
  readonly #folder: string
  readonly #events: SavedListEvents
  /** Torrents that could not be restored, for example because their disk is not mounted. They stay in the list for later runs. */
  readonly #notRestored = new Map<string, SavedTorrent>()
  /**
   * Lines without a trusted signature whose data is outside the data folder; their torrents are not restored. They are saved again
   * unsigned. If the program adds such a torrent, the settings of its line are not applied.
   */
  readonly #refused = new Map<string, SavedLine>()
  readonly #trust: SavedTorrentsTrust
  /** Torrents whose metadata is in the folder. */
  readonly #withMetadata = new WeakSet<TorrentSession>()
  #lock: FolderLock | undefined
  #timer: NodeJS.Timeout | undefined
  #counters: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #savedAt = Number.NEGATIVE_INFINITY
  #dirty = false
  #moved = 0
  #closed = false

  constructor(folder: string, trust: SavedTorrentsTrust, events: SavedListEvents) {
    this.#folder = folder
    this.#trust = trust
    this.#events = events
  }

  /** Locks the folder and returns the torrents that the last run saved in it. Never rejects: faults are warnings. */
  async open(): Promise<readonly SavedTorrent[]> {
    try {
      this.#lock = await FolderLock.take(this.#folder, 'client.lock')
    } catch (cause) {
      this.#warn(`cannot be used: ${asError(cause).message}`, cause)
      return []
    }
    if (this.#lock === undefined) {
      this.#warn(
        'is in use by another client: its torrents are not restored here, and torrents added here are not saved'
      )
      return []
    }
    this.#counters = setInterval(() => this.#saveCounters(), countersEveryMs)
    this.#counters.unref()
    let bytes: Uint8Array | undefined
    try {
      bytes = await readWhole(nodeFs, this.#path, maxSavedLength)
    } catch (cause) {
      // Without the lock nothing is saved, so that the unreadable list is not overwritten.
      this.#warn(`has a list of torrents that cannot be read: ${asError(cause).message}`, cause)
      await this.#unlock()
      return []
    }
    const { lines, damaged } = await runStepsInSlices(readSavedSteps(bytes ?? new Uint8Array()))
    if (damaged > 0 && bytes !== undefined) {
      this.#warn(
        `has a damaged list of torrents: ${damaged} of its lines cannot be used; it is kept as client.session.damaged`
      )
      await replaceFile(nodeFs, `${this.#path}.damaged`, bytes).catch(() => {})
    }
    const { savedTorrents, refused, silenced, trusted } = await this.#trust.judge(lines)
    for (const line of refused) this.#refused.set(line.saved.infoHash, line)
    if (refused.length + silenced > 0) {
      this.#warn(
        'is inside the data folder, and its list of torrents is not signed by this user. ' +
          `Torrents not restored, since their data is outside of the data folder: ${refused.length}. ` +
          `Private torrents restored without trackers: ${silenced}. Add them again, or move the state folder`
      )
    }
    // The next save signs all lines that were accepted.
    if (!trusted) this.touch()
    return savedTorrents
  }

  /** Marks a torrent whose metadata was loaded from the folder, so that it is not written again. */
  markKept(torrent: TorrentSession): void {
    this.#withMetadata.add(torrent)
  }

  /** Keeps a torrent in the list for the next run, because it is not restored in this one. */
  setAside(saved: SavedTorrent): void {
    this.#notRestored.set(saved.infoHash, saved)
    this.touch()
  }

  /**
   * Removes a torrent that was set aside or refused, because the program now adds or removes it. Returns the torrent if it was set aside,
   * otherwise undefined.
   */
  removeSetAside(infoHash: string): SavedTorrent | undefined {
    const saved = this.#notRestored.get(infoHash)
    if (this.#notRestored.delete(infoHash) || this.#refused.delete(infoHash)) this.touch()
    return saved
  }

  /** Schedules a save after a change. */
  touch(): void {
    if (this.#lock === undefined || this.#closed) return
    this.#dirty = true
    if (this.#timer !== undefined || this.#saving !== undefined) return
    const waitMs = Math.max(saveAfterMs, this.#savedAt + saveEveryMs - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#saving = this.#save(this.#events.torrents())
    }, waitMs)
    this.#timer.unref()
  }

  /** Saves now, after a save that is in progress. Never rejects. */
  async flush(): Promise<void> {
    if (this.#lock === undefined || this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (this.#saving !== undefined) await this.#saving
    // The previous save may have scheduled another one. `close` saves by itself.
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#closed) return
    this.#saving = this.#save(this.#events.torrents())
    await this.#saving
  }

  /** Stops scheduled saves; resolves when no save is in progress. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#counters)
    await this.#saving
  }

  /** Saves these torrents, which may already be closed, and unlocks the folder. Idempotent. */
  async close(torrents: readonly TorrentSession[]): Promise<void> {
    await this.stop()
    if (this.#lock === undefined) return
    await this.#save(torrents)
    await this.#unlock()
  }

  get #path(): string {
    return join(this.#folder, 'client.session')
  }

  async #unlock(): Promise<void> {
    clearInterval(this.#counters)
    const lock = this.#lock
    this.#lock = undefined
    await lock?.release()
  }

  /** Schedules a save if transfer counters have changed since the last call. */
  #saveCounters(): void {
    const moved = this.#events.torrents().reduce((sum, torrent) => sum + torrent.transfer.moved, 0)
    if (moved === this.#moved) return
    this.#moved = moved
    this.touch()
  }

  async #save(torrents: readonly TorrentSession[]): Promise<void> {
    this.#dirty = false
    this.#savedAt = performance.now()
    try {
      // Taken before the metadata is written, so that the list refers to no metadata that arrives in between.
      const savedTorrents = torrents.map((torrent) => torrent.save())
      await this.#keepMetadata(torrents)
      const here = new Set(savedTorrents.map(({ infoHash }) => infoHash))
      const notRestored = [...this.#notRestored.values()].filter(({ infoHash }) => !here.has(infoHash))
      const refused = [...this.#refused.values()].filter(({ saved }) => !here.has(saved.infoHash))
      const all = [...savedTorrents, ...notRestored]
      await replaceFile(nodeFs, this.#path, encodeSavedTorrents(all, await this.#trust.signer(all), refused))
    } catch (cause) {
      this.#warn(`cannot be written, so the list of torrents is not saved: ${asError(cause).message}`, cause)
    }
    this.#saving = undefined
    if (this.#dirty) this.touch()
  }

  async #keepMetadata(torrents: readonly TorrentSession[]): Promise<void> {
    // Includes torrents that are still opening, so that a crash does not lose the metadata passed to `add`.
    const missing = torrents.filter((torrent) => !this.#withMetadata.has(torrent))
    if (missing.length === 0) return
    await makeFolder(this.#folder, { mode: 0o700 })
    // The folder entries are synced together with that of the list.
    await forEachLimit(missing.length, writesAtOnce, async (index) => {
      const torrent = missing[index]
      const bytes = torrent?.torrentFile
      if (torrent === undefined || bytes === undefined) return
      await replaceWithoutFolderSync(nodeFs, join(this.#folder, `${torrent.infoHash}.torrent`), bytes, '.new')
      this.#withMetadata.add(torrent)
    })
  }

  #warn(what: string, cause?: unknown): void {
    const details = { folder: this.#folder }
    this.#events.warning(
      new TorrentError('ERR_CLIENT_STATE', `the state folder ${this.#folder} ${what}`, { cause, details })
    )
  }
}
