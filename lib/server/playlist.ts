import type { Torrent, TorrentFile } from '../index.ts'
import { urlPath } from './shelf.ts'

const order = new Intl.Collator(undefined, { numeric: true })

/**
 * The playlist of a torrent: its videos and sounds in the order of their names, or all files when there are none. `base` is the
 * server's `http://host:port`, `query` is put behind each address.
 */
export function playlist(torrent: Torrent, base: string, query: string): string {
  const playable = torrent.files.filter(isPlayable)
  const files = playable.length > 0 ? playable : [...torrent.files]
  files.sort((a, b) => order.compare(a.path, b.path))
  const lines = files.flatMap((file) => [
    `#EXTINF:-1,${oneLine(file.name)}`,
    `${base}${urlPath(torrent, file)}${query}`
  ])
  return `${['#EXTM3U', ...lines].join('\n')}\n`
}

/** Whether a player can do something with the file. */
export function isPlayable({ type }: TorrentFile): boolean {
  return /^(?:video|audio)\/(?!x-mpegurl)/.test(type)
}

/** A name that cannot begin a line of its own. */
function oneLine(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}
