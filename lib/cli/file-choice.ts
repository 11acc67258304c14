import { matchesGlob } from './glob.ts'
import { usageError } from './usage-error.ts'

/** The facts about a file that a choice needs. */
export interface ChoosableFile {
  readonly name: string
  readonly path: string
  readonly length: number
  /** MIME type. */
  readonly type: string
}

/**
 * Returns the indices of the files that `--select` names: `all`, `none`, indices and ranges such as `0,2-4`, or a pattern.
 * @throws TorrentError ERR_CLI_USAGE when an index does not exist or nothing matches.
 */
export function chooseFiles(choice: string, files: readonly ChoosableFile[]): number[] {
  if (choice === 'none') return []
  const every = files.map((_, index) => index)
  if (choice === 'all') return every
  if (/^\d{1,9}(?:-\d{1,9})?(?:,\d{1,9}(?:-\d{1,9})?)*$/.test(choice)) return indicesOf(choice, files.length)
  const matching = every.filter((index) => matchesGlob(files[index]?.path ?? '', choice))
  if (matching.length === 0)
    throw usageError(`no file of the torrent matches --select '${choice}'${listed(files)}`)
  return matching
}

function indicesOf(choice: string, count: number): number[] {
  const chosen = new Set<number>()
  for (const part of choice.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number)
    if (last >= count || first > last) {
      throw usageError(
        `--select '${part}' is not a file or an ascending range: indices go from 0 to ${count - 1}`
      )
    }
    for (let index = first; index <= last; index++) chosen.add(index)
  }
  return [...chosen].sort((a, b) => a - b)
}

/**
 * Returns the index of the file that `--file` names by index, path, name or pattern. Default: the largest playable file, or the
 * largest of all.
 * @throws TorrentError ERR_CLI_USAGE when there is none, or a pattern matches several.
 */
export function chooseFile(choice: string | undefined, files: readonly ChoosableFile[]): number {
  if (choice === undefined) {
    const playable = files.filter(({ type }) => /^(?:video|audio)\//.test(type) && type !== 'audio/x-mpegurl')
    const best = (playable.length > 0 ? playable : files).reduce<ChoosableFile | undefined>(
      (largest, file) => (largest === undefined || file.length > largest.length ? file : largest),
      undefined
    )
    if (best === undefined) throw usageError('the torrent has no files to stream')
    return files.indexOf(best)
  }
  const exact = files.findIndex(({ path, name }) => path === choice || name === choice)
  if (exact >= 0) return exact
  if (/^\d{1,9}$/.test(choice)) {
    const index = Number(choice)
    if (index < files.length) return index
    throw usageError(`--file ${choice} is not a file: indices go from 0 to ${files.length - 1}`)
  }
  const matching = files.flatMap(({ path }, index) => (matchesGlob(path, choice) ? [index] : []))
  const [first] = matching
  if (first === undefined)
    throw usageError(`no file of the torrent matches --file '${choice}'${listed(files)}`)
  if (matching.length > 1) {
    const some = matching.map((index) => files[index]).flatMap((file) => (file === undefined ? [] : [file]))
    throw usageError(`--file '${choice}' matches ${matching.length} files${listed(some)}: name one of them`)
  }
  return first
}

function listed(files: readonly ChoosableFile[]): string {
  const names = files.slice(0, 5).map(({ path }) => `'${path}'`)
  return ` (${names.join(', ')}${files.length > names.length ? ', …' : ''})`
}
