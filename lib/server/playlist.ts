import type { Torrent, TorrentFile } from '../index.ts'
import { runStepsInSlices, type Steps } from '../util/slices.ts'
import { filesOfStep, urlPath } from './catalog.ts'
import { sortedSteps } from './sorted-steps.ts'

const order = new Intl.Collator(undefined, { numeric: true })
/** The entries of playlists, sorted once per torrent: the largest takes a second. */
const sorted = new WeakMap<readonly TorrentFile[], Promise<readonly TorrentFile[]>>()

/** Returns the files of a torrent's playlist: its video and audio files sorted by name, or all files when it has none. */
export function playlistFiles({ files }: Torrent): Promise<readonly TorrentFile[]> {
  let list = sorted.get(files)
  if (list === undefined) sorted.set(files, (list = runStepsInSlices(playableSteps(files))))
  return list
}

/** Yields the text of a playlist in parts. `base` is the server's `http://host:port`; `query` is appended to each URL. */
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

/** Returns whether a file is video or audio. */
function isPlayable({ type }: TorrentFile): boolean {
  return /^(?:video|audio)\/(?!x-mpegurl)/.test(type)
}

/** Removes line breaks, so that a name cannot add lines to the playlist. */
function oneLine(name: string): string {
  return name.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}
