import { resolve } from 'node:path'
import type { SavedTorrent } from '../torrent/saved-torrent.ts'
import type { Torrent } from '../torrent/torrent.ts'
import type { TorrentInit } from '../torrent/torrent-init.ts'
import type { AddOptions } from '../torrent/torrent-options.ts'
import type { TorrentSession } from '../torrent/torrent-session.ts'
import { TorrentError } from '../util/errors.ts'

/** Returns whether the options of `add` require a restored torrent to be reopened: another storage or folder, or a full check. */
export function reopens(torrent: TorrentSession, { path, storage, verify }: AddOptions): boolean {
  if (storage !== undefined || verify === true) return true
  return path !== undefined && resolve(path) !== torrent.path
}

/** Applies the options of `add` to a restored torrent. */
export function adjust(torrent: Torrent, options: AddOptions): void {
  const { select, paused, seedRatio, seedTime, downloadLimit, uploadLimit, superSeeding } = options
  if (select !== undefined) {
    const all = [...torrent.files.keys()]
    const wanted = Array.isArray(select) ? select : select === 'all' ? all : []
    torrent.deselect({ start: 0, end: torrent.length })
    torrent.deselect(all.filter((index) => !wanted.includes(index)))
    torrent.select(wanted.filter((index) => torrent.files[index]?.selected !== true))
  }
  if (paused === true) torrent.pause()
  else if (paused === false) torrent.resume()
  if (seedRatio !== undefined) torrent.seedRatio = seedRatio
  if (seedTime !== undefined) torrent.seedTime = seedTime
  if (downloadLimit !== undefined) torrent.downloadLimit = downloadLimit
  if (uploadLimit !== undefined) torrent.uploadLimit = uploadLimit
  if (superSeeding !== undefined) torrent.superSeeding = superSeeding
}

/** Returns a warning about options of `add` that do not apply to a torrent that is already added, or undefined. */
export function unheededBy(torrent: TorrentSession, { path, storage }: AddOptions): TorrentError | undefined {
  const { infoHash, metadata } = torrent
  const options = [
    ...(path !== undefined && resolve(path) !== torrent.path ? ['path'] : []),
    ...(storage !== undefined && storage !== torrent.storage ? ['storage'] : [])
  ]
  if (options.length === 0) return undefined
  const message =
    `option ${options.join(' and ')}: '${metadata.name}' was already added, and its data stays in ${torrent.path}: ` +
    'remove the torrent first to use another place'
  return new TorrentError('ERR_CLIENT_OPTION', message, {
    details: { options, infoHash, path: torrent.path }
  })
}

/** Returns the file paths and the folder mode of a saved torrent; the folder itself is the caller's choice. */
export function placeOf(saved: SavedTorrent | undefined): Pick<TorrentInit, 'filePaths' | 'folderMode'> {
  return saved === undefined ? {} : { filePaths: saved.filePaths, folderMode: saved.folderMode }
}
