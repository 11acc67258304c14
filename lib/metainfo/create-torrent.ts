import { types } from 'node:util'
import { encode } from '../bencode/encode.ts'
import type { HashJob } from '../hash/hash-job.ts'
import { hashPieces } from '../hash/hash-pool.ts'
import { TorrentError } from '../util/errors.ts'
import { checkNoMore, checkOptionNames, checkType } from '../util/options.ts'
import { redactUrl } from '../util/redact.ts'
import { show } from '../util/show.ts'
import { notify } from '../util/user-code.ts'
import { version } from '../util/version.ts'
import { type CreateOptions, createOptionNames } from './create-options.ts'
import { blockLength, Layout } from './layout.ts'
import { maxPieceCount, maxPieceLength } from './limits.ts'
import { optionRefusal, type Scan, scanFiles } from './scan-files.ts'

/**
 * Makes the .torrent of a file, a folder or several of both (BEP 3); hashes on all cores. The info hash depends only on the
 * names, bytes and order of the files, and on the options `name`, `pieceLength`, `private` and `source`.
 * @throws TorrentError ERR_METAINFO_CREATE when an option is wrong, or files cannot be read or change meanwhile; the signal's reason.
 */
export async function createTorrent(
  paths: string | readonly string[],
  options?: CreateOptions
): Promise<Uint8Array>
export async function createTorrent(
  paths: string | readonly string[],
  options: CreateOptions = {},
  ...more: unknown[]
): Promise<Uint8Array> {
  checkOptionNames(options, Object.keys(createOptionNames), optionRefusal)
  checkNoMore(more, optionRefusal)
  checkOptions(options)
  return createFromScan(await scanFiles(paths, options), options)
}

/** {@link createTorrent} for files already found by a scan; ignores the options `name` and `ignore`. */
export async function createFromScan(scan: Scan, options: CreateOptions = {}): Promise<Uint8Array> {
  checkOptions(options)
  const {
    comment,
    createdBy = `piecewise/${version}`,
    creationDate = new Date(),
    source,
    webSeeds = []
  } = options
  const entries = scan.files.map(({ entry }) => entry)
  const last = entries.at(-1)
  const totalBytes = last === undefined ? 0 : last.offset + last.length
  const layout = new Layout(options.pieceLength ?? pieceLengthFor(totalBytes), entries)
  if (layout.pieceCount > maxPieceCount) {
    throw refusal(
      `${layout.pieceCount} pieces exceed the limit of ${maxPieceCount}: choose a larger pieceLength`
    )
  }
  const pieces = await hashAll(scan, layout, options)
  const tiers = (options.trackers ?? []).map((tier) => (typeof tier === 'string' ? [tier] : tier))
  const urls = tiers.flat()
  return encode({
    announce: urls[0],
    'announce-list': urls.length > 1 ? tiers.filter((tier) => tier.length > 0) : undefined,
    comment,
    'created by': createdBy === false ? undefined : createdBy,
    'creation date': creationDate === false ? undefined : Math.floor(creationDate.getTime() / 1000),
    info: {
      ...(scan.singleFile
        ? { length: layout.length }
        : { files: scan.files.map(({ elements, entry }) => ({ length: entry.length, path: elements })) }),
      name: scan.name,
      'piece length': layout.pieceLength,
      pieces,
      private: options.private === true ? 1 : undefined,
      source
    },
    'url-list': webSeeds.length > 0 ? webSeeds : undefined
  })
}

function refusal(reason: string, details: Record<string, unknown> = {}, cause?: unknown): TorrentError {
  return new TorrentError('ERR_METAINFO_CREATE', `Cannot make a torrent: ${reason}`, { details, cause })
}

function checkOptions(options: CreateOptions): void {
  const { pieceLength, trackers = [], webSeeds = [], createdBy, creationDate } = options
  for (const option of ['comment', 'source'] as const)
    checkType(option, options[option], 'string', optionRefusal)
  checkType('onProgress', options.onProgress, 'function', optionRefusal)
  checkType('private', options.private, 'boolean', optionRefusal)
  if (createdBy !== false) checkType('createdBy', createdBy, 'string', optionRefusal)
  if (pieceLength !== undefined) {
    const power = Number.isSafeInteger(pieceLength) && Number.isInteger(Math.log2(pieceLength))
    if (!power || pieceLength < blockLength || pieceLength > maxPieceLength) {
      throw refusal(
        `the option pieceLength must be a power of two from ${blockLength} to ${maxPieceLength}, not ${show(pieceLength)}`
      )
    }
  }
  for (const [option, urls] of [
    ['trackers', trackers],
    ['webSeeds', webSeeds]
  ] as const) {
    if (!Array.isArray(urls)) throw optionRefusal(option, `${show(urls)} must be a list of URLs`)
    for (const url of urls.flat()) checkUrl(option, url)
  }
  if (creationDate === undefined || creationDate === false) return
  if (!types.isDate(creationDate) || Number.isNaN(creationDate.getTime()))
    throw refusal('the option creationDate is not a valid date')
}

function checkUrl(option: string, url: unknown): void {
  if (typeof url === 'string' && URL.canParse(url)) return
  const shown = typeof url === 'string' ? `'${redactUrl(url)}'` : show(url)
  throw refusal(`the option ${option} holds ${shown}, which is not a URL`)
}

/** Returns a power of two from 16 KiB to 16 MiB that gives 1000 to 2000 pieces, as far as these bounds allow. */
function pieceLengthFor(totalBytes: number): number {
  const exponent = Math.ceil(Math.log2(Math.max(1, totalBytes / 2000)))
  return 2 ** Math.min(24, Math.max(14, exponent))
}

async function hashAll(
  scan: Scan,
  layout: Layout,
  { signal, onProgress }: CreateOptions
): Promise<Uint8Array> {
  const pieces = new Uint8Array(layout.pieceCount * 20)
  let hashedBytes = 0
  await hashPieces(hashJobs(scan, layout), {
    ...(signal !== undefined && { signal }),
    onResult: (index, digest, fault) => {
      if (digest === undefined) {
        const files = [...layout.spans(layout.pieceRange(index))].map(
          (span) => scan.files[span.fileIndex]?.diskPath
        )
        throw fault === undefined
          ? refusal(`bytes are missing, because a file changed meanwhile: ${files.join(', ')}`, { files })
          : refusal(fault.message, { files }, fault)
      }
      pieces.set(digest, index * 20)
      hashedBytes += layout.pieceSize(index)
      notify(onProgress, { hashedBytes, totalBytes: layout.length })
    }
  })
  return pieces
}

function* hashJobs({ files }: Scan, layout: Layout): Generator<HashJob> {
  for (let index = 0; index < layout.pieceCount; index++) {
    const segments = [...layout.spans(layout.pieceRange(index))].map(({ fileIndex, fileOffset, length }) => ({
      path: files[fileIndex]?.diskPath,
      fileOffset,
      length
    }))
    yield { index, segments }
  }
}
