import { join } from 'node:path'
import { readWhole, replaceFile, replaceUnlisted } from '../storage/replace-file.ts'
import { nodeFs } from '../storage/storage-fs.ts'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { asError, TorrentError } from '../util/errors.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { makeFolder } from '../util/make-folder.ts'
import { runStepsInTurns } from '../util/turn-share.ts'
import { FolderLock } from './folder-lock.ts'
import { encodeSavedTorrents, maxSavedLength, readSavedSteps, type SavedLine } from './saved-torrents.ts'
import type { SavedTorrentsTrust } from './saved-torrents-trust.ts'

/** A change is saved after this time, together with all other changes until then. */
const saveAfterMs = 250
/** A save begins at most this often. */
const saveEveryMs = 1000
/** How often counters are saved while bytes move. */
const countersEveryMs = 60_000
/** Metadata that is written at the same time. */
const writesAtOnce = 8

/** Questions and events of a {@link SavedList}. */
export interface SavedListEvents {
  /** The torrents that a restart should bring back, in their order. */
  torrents(): readonly TorrentSession[]
  warning(error: Error): void
}

/**
 * The torrents of a client in its state folder: `client.session` lists them, `<info hash>.torrent` holds the metadata of each,
 * and their resume records say the rest. The list is replaced in one step, after the metadata that it needs.
 */
export class SavedList {
  readonly #folder: string
  readonly #events: SavedListEvents
  /** Torrents of an earlier run that could not be brought back: a later run may have their disk again. */
  readonly #dormant = new Map<string, SavedTorrent>()
  /** Lines of torrents that are not restored because the list is not signed; they are kept, never signed, and not used by `add`. */
  readonly #refused = new Map<string, SavedLine>()
  readonly #trust: SavedTorrentsTrust
  /** Torrents whose metadata is on disk. */
  readonly #kept = new WeakSet<TorrentSession>()
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

  /** Takes the folder and returns what an earlier run has left in it; never rejects. */
  async open(): Promise<readonly SavedTorrent[]> {
    try {
      this.#lock = await FolderLock.take(this.#folder, 'client.lock')
    } catch (cause) {
      this.#warn(`cannot be used: ${asError(cause).message}`, cause)
      return []
    }
    if (this.#lock === undefined) {
      this.#warn(
        'is in use by another client: its torrents are not brought back here, and those added here are not kept'
      )
      return []
    }
    this.#counters = setInterval(() => this.#look(), countersEveryMs)
    this.#counters.unref()
    let bytes: Uint8Array | undefined
    try {
      bytes = await readWhole(nodeFs, this.#path, maxSavedLength)
    } catch (cause) {
      // A list that cannot be read must not be overwritten either.
      this.#warn(`has a list of torrents that cannot be read: ${asError(cause).message}`, cause)
      await this.#giveUp()
      return []
    }
    const { lines, damaged } = await runStepsInTurns(readSavedSteps(bytes ?? new Uint8Array()))
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
        'lies in the folder of data, and nothing vouches for its list of torrents: ' +
          `${refused.length} are not brought back, because their data lies elsewhere, ` +
          `and ${silenced} private ones have no trackers; add them again, or move the state folder`
      )
    }
    // Signed from now on.
    if (!trusted) this.touch()
    return savedTorrents
  }

  /** The metadata of this torrent came from the folder. */
  isKept(torrent: TorrentSession): void {
    this.#kept.add(torrent)
  }

  /** Keeps a torrent in the list that could not be brought back. */
  setAside(saved: SavedTorrent): void {
    this.#dormant.set(saved.infoHash, saved)
    this.touch()
  }

  /** The saved torrent that was set aside, if there is one; the torrent is there again, or not wanted any more. */
  takeBack(infoHash: string): SavedTorrent | undefined {
    const saved = this.#dormant.get(infoHash)
    if (this.#dormant.delete(infoHash) || this.#refused.delete(infoHash)) this.touch()
    return saved
  }

  /** Something has changed: the list is saved soon. */
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

  /** Saves at once what has changed; never rejects. */
  async flush(): Promise<void> {
    if (this.#lock === undefined || this.#closed) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (this.#saving !== undefined) await this.#saving
    // The save under way may have asked for another one, and `close` saves by itself.
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#closed) return
    this.#saving = this.#save(this.#events.torrents())
    await this.#saving
  }

  /** Saves no more by itself; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#counters)
    await this.#saving
  }

  /** Saves these torrents, which may be closed by now, and leaves the folder; idempotent. */
  async close(torrents: readonly TorrentSession[]): Promise<void> {
    await this.stop()
    if (this.#lock === undefined) return
    await this.#save(torrents)
    await this.#giveUp()
  }

  get #path(): string {
    return join(this.#folder, 'client.session')
  }

  async #giveUp(): Promise<void> {
    clearInterval(this.#counters)
    const lock = this.#lock
    this.#lock = undefined
    await lock?.release()
  }

  /** Counters alone are worth a save only now and then. */
  #look(): void {
    const moved = this.#events.torrents().reduce((sum, torrent) => sum + torrent.transfer.moved, 0)
    if (moved === this.#moved) return
    this.#moved = moved
    this.touch()
  }

  async #save(torrents: readonly TorrentSession[]): Promise<void> {
    this.#dirty = false
    this.#savedAt = performance.now()
    try {
      // Before the metadata is kept: what comes meanwhile is not in the folder, and until then must be found as it was.
      const savedTorrents = torrents.map((torrent) => torrent.save())
      await this.#keepMetadata(torrents)
      const here = new Set(savedTorrents.map(({ infoHash }) => infoHash))
      const dormant = [...this.#dormant.values()].filter(({ infoHash }) => !here.has(infoHash))
      const refused = [...this.#refused.values()].filter(({ saved }) => !here.has(saved.infoHash))
      const all = [...savedTorrents, ...dormant]
      await replaceFile(nodeFs, this.#path, encodeSavedTorrents(all, await this.#trust.signer(all), refused))
    } catch (cause) {
      this.#warn(`does not take the list of torrents: ${asError(cause).message}`, cause)
    }
    this.#saving = undefined
    if (this.#dirty) this.touch()
  }

  async #keepMetadata(torrents: readonly TorrentSession[]): Promise<void> {
    // Torrents whose resume record is still being read count too, or a crash would leave a torrent without the metadata that was given.
    const missing = torrents.filter((torrent) => !this.#kept.has(torrent))
    if (missing.length === 0) return
    await makeFolder(this.#folder, { mode: 0o700 })
    // The names are made safe against a power cut together with that of the list.
    await forEachLimit(missing.length, writesAtOnce, async (index) => {
      const torrent = missing[index]
      const bytes = torrent?.torrentFile
      if (torrent === undefined || bytes === undefined) return
      await replaceUnlisted(nodeFs, join(this.#folder, `${torrent.infoHash}.torrent`), bytes, '.new')
      this.#kept.add(torrent)
    })
  }

  #warn(what: string, cause?: unknown): void {
    const details = { folder: this.#folder }
    this.#events.warning(
      new TorrentError('ERR_CLIENT_STATE', `the state folder ${this.#folder} ${what}`, { cause, details })
    )
  }
}
