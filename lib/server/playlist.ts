import type { Torrent, TorrentFile } from '../index.ts'
import { runStepsInTurns, type Steps } from '../util/turn-share.ts'
import { filesOfStep, urlPath } from './shelf.ts'
import { sortedSteps } from './sorted-steps.ts'

const order = new Intl.Collator(undefined, { numeric: true })
/** The entries of playlists, sorted once for each torrent: that takes a second for the largest. */
const sorted = new WeakMap<readonly TorrentFile[], Promise<readonly TorrentFile[]>>()

/** The files that a playlist of a torrent has: its videos and sounds in the order of their names, or all files when there are none. */
export function playlistFiles({ files }: Torrent): Promise<readonly TorrentFile[]> {
  let list = sorted.get(files)
  if (list === undefined) sorted.set(files, (list = runStepsInTurns(playableSteps(files))))
  return list
}

/** The text of a playlist, part by part. `base` is the server's `http://host:port`, `query` is put behind each address. */
export function* playlist(
  torrent: Torrent,
  files: readonly TorrentFile[],
  base: string,
  query: string
): Generator<string, void, void> {
  yield '#EXTM3U\n'
  for (const file of files)
    yield `#EXTINF:-1,${oneLine(file.name)}\n${base}${urlPath(torrent, file)}${query}\n`
}

function* playableSteps(files: readonly TorrentFile[]): Steps<readonly TorrentFile[]> {
  const playable: TorrentFile[] = []
  for (const [index, file] of files.entries()) {
    if (index % filesOfStep === 0) yield
    if (isPlayable(file)) playable.push(file)
  }
  const listed = playable.length > 0 ? playable : [...files]
  return yield* sortedSteps(listed, (a, b) => order.compare(a.path, b.path))
}

/** Whether a player can do something with the file. */
function isPlayable({ type }: TorrentFile): boolean {
  return /^(?:video|audio)\/(?!x-mpegurl)/.test(type)
}

/** A name that cannot begin a line of its own. */
function oneLine(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}
