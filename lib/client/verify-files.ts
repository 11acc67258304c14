import { join } from 'node:path'
import { HashPool } from '../hash/hash-pool.ts'
import { hashKey } from '../metainfo/info-hashes.ts'
import { type Layout, layoutOf } from '../metainfo/layout.ts'
import type { Metainfo } from '../metainfo/metainfo.ts'
import { recordFolder } from '../metainfo/record-folder.ts'
import { Checker } from '../storage/checker.ts'
import { FileStorage } from '../storage/file-storage.ts'
import { findNames } from '../torrent/stored-names.ts'
import { isTorrentError, TorrentError } from '../util/errors.ts'
import { checkNoMore, checkOptionNames, checkSignal, checkType } from '../util/options.ts'
import { show } from '../util/show.ts'
import { notify } from '../util/user-code.ts'
import { refusal } from './options.ts'
import { isMetainfo } from './read-source.ts'

/** Options of {@link verifyFiles}. */
export interface VerifyFilesOptions {
  /** Aborts the check; the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Called after each piece. */
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/** Progress of {@link verifyFiles}, in bytes without padding. */
export interface VerifyProgress {
  /** Bytes of pieces that were hashed, whether verified or not. */
  readonly checkedBytes: number
  /** Bytes of verified pieces. */
  readonly verifiedBytes: number
  /** Bytes to hash in all. */
  readonly totalBytes: number
}

/** Result of {@link verifyFiles}. */
export interface VerifyResult {
  /** Whether every file is complete. */
  readonly complete: boolean
  /** Whether each piece is verified, by piece index. */
  readonly pieces: readonly boolean[]
  /** All files in the order of the torrent, without pad files, like `torrent.files`. */
  readonly files: readonly VerifiedFile[]
  /** Errors of existing files that cannot be read, one per path and at most 100. Their pieces are not verified. */
  readonly errors: readonly TorrentError[]
}

/** One file in a {@link VerifyResult}. */
export interface VerifiedFile {
  /** Path below the folder with `/` separators, as it was looked for on disk. */
  readonly path: string
  /** Length in bytes. */
  readonly length: number
  /** Bytes of this file in verified pieces. */
  readonly verifiedBytes: number
  /** Whether every byte is verified and in the file itself. An empty file is complete if it exists. */
  readonly complete: boolean
}

/** Bounds the result: a torrent can have millions of files. */
const maxErrors = 100

/**
 * Compares files on disk with a torrent, without a client or resume records. Hashes every piece on all cores and writes nothing.
 * `path` is the data folder, as in `client.add`; files that a client stored there under other names are found too. Bytes in a client's
 * parts file, which belong to files that are not selected, count for pieces but not for their file.
 * @throws TorrentError ERR_CLIENT_OPTION; ERR_METAINFO_UNSUPPORTED for a torrent without SHA-1 pieces; ERR_STORAGE_PATH if a folder of the
 * torrent exists as something else; the signal's reason.
 */
export async function verifyFiles(
  metainfo: Metainfo,
  path: string,
  options?: VerifyFilesOptions
): Promise<VerifyResult>
export async function verifyFiles(
  metainfo: Metainfo,
  path: string,
  options: VerifyFilesOptions = {},
  ...more: unknown[]
): Promise<VerifyResult> {
  checkArguments(metainfo, path, options, more)
  const { signal, onProgress } = options
  signal?.throwIfAborted()
  const storage = (): FileStorage => readOnlyStorage(metainfo, path)
  const named = await findNames(metainfo, { path, before: undefined, storage })
  const files = storage()
  const pool = new HashPool()
  const layout = layoutOf(named)
  const checker = new Checker({
    storage: files,
    layout,
    expected: (piece) => named.pieces.subarray(20 * piece, 20 * piece + 20),
    pool
  })
  const pieces = Array<boolean>(layout.pieceCount).fill(false)
  const errors = new Map<unknown, TorrentError>()
  let [checkedBytes, verifiedBytes] = [0, 0]
  try {
    await files.open(
      layout,
      layout.files.map(() => false)
    )
    const everything = { start: 0, end: layout.pieceCount }
    await checker.check(everything, {
      ...(signal === undefined ? {} : { signal }),
      onResult: (piece, ok, error) => {
        pieces[piece] = ok
        const bytes = layout.dataSize(piece)
        checkedBytes += bytes
        if (ok) verifiedBytes += bytes
        else if (isTorrentError(error) && errors.size < maxErrors) errors.set(error.details['path'], error)
        notify(onProgress, { checkedBytes, verifiedBytes, totalBytes: layout.dataLength })
      }
    })
    for (let index = 0; index < layout.files.length && errors.size < maxErrors; index++) {
      const obstacle = files.obstacle(index)
      if (obstacle !== undefined) errors.set(obstacle.details['path'], obstacle)
    }
    return resultOf(layout, pieces, [...errors.values()], (index) => files.inPlace(index))
  } finally {
    await checker.close()
    await files.close()
    await pool.close()
  }
}

function checkArguments(
  metainfo: unknown,
  path: unknown,
  options: VerifyFilesOptions,
  more: readonly unknown[]
): void {
  if (!isMetainfo(metainfo)) {
    const wanted = 'must be the result of parseTorrent, or of readSource for a .torrent'
    throw refusal('metainfo', `${show(metainfo)} ${wanted}`)
  }
  if (typeof path !== 'string' || path === '')
    throw refusal('path', `${show(path)} must be the path of a folder`)
  checkOptionNames(options, ['signal', 'onProgress'], refusal)
  checkNoMore(more, refusal)
  checkSignal(options.signal, refusal)
  checkType('onProgress', options.onProgress, 'function', refusal)
}

/** Returns a read-only storage for a torrent's data, including the parts file of a client without a `state` folder. */
function readOnlyStorage({ infoHashes }: Metainfo, path: string): FileStorage {
  if (infoHashes.v1 === undefined) {
    const message = 'only torrents with SHA-1 pieces can be verified, and this one has none'
    throw new TorrentError('ERR_METAINFO_UNSUPPORTED', message)
  }
  const partsPath = join(path, recordFolder, `${hashKey(infoHashes)}.parts`)
  return new FileStorage({ path, partsPath, readOnly: true })
}

function resultOf(
  layout: Layout,
  pieces: readonly boolean[],
  errors: readonly TorrentError[],
  isInPlace: (fileIndex: number) => boolean
): VerifyResult {
  const files: VerifiedFile[] = []
  for (const [index, { path, length, offset, pad }] of layout.files.entries()) {
    if (pad) continue
    let verifiedBytes = 0
    const { start, end } = layout.filePieces(index)
    for (let piece = start; piece < end; piece++) {
      if (pieces[piece] !== true) continue
      const range = layout.pieceRange(piece)
      verifiedBytes += Math.min(range.end, offset + length) - Math.max(range.start, offset)
    }
    files.push({ path, length, verifiedBytes, complete: verifiedBytes === length && isInPlace(index) })
  }
  return { complete: files.every(({ complete }) => complete), pieces, files, errors }
}
