import type { KeyTree, Outline } from '../bencode/outline.ts'
import type { Steps } from '../util/slices.ts'
import { badLength, type Naming, readFileList, readFlags } from './file-list.ts'
import { hashKey, type InfoHashes } from './info-hashes.ts'
import { invalid } from './invalid.ts'
import { maxAttributeBytes } from './limits.ts'
import type { FileEntry } from './metainfo.ts'
import { nameHasOtherSpellings, type Spelling, spellName } from './spelling.ts'

/** The keys of an `info` dictionary that hold names and files. */
export const nameKeys: KeyTree = { name: {}, 'name.utf-8': {}, files: {}, length: {}, attr: {} }

/** The name and the files of a torrent in one spelling. */
export interface Names {
  readonly name: string
  readonly files: FileEntry[]
  /** Whether another spelling may give other names. */
  readonly hasOtherSpellings: boolean
}

/** How to read names. */
export interface NamesOptions {
  readonly spelling: Spelling
  /**
   * Whether to ignore the limit on the path elements of all files together, for a torrent that was accepted before: when it was parsed, or
   * by an earlier version, whose limit may have been higher.
   */
  readonly unlimited: boolean
}

/** Reads the name and files of an `info` dictionary from the outline of its {@link nameKeys}. */
export function* readNames(info: Outline, infoHashes: InfoHashes, options: NamesOptions): Steps<Names> {
  const naming: Naming = { ...options, hasOtherSpellings: false }
  const name = readName(info, infoHashes, naming)
  const list = info.get('files')
  if (list !== undefined && !list.isList) throw invalid("'files' must be a list")
  const files = list === undefined ? singleFile(info, name) : yield* readFileList(list, name, naming)
  return { name, files, hasOtherSpellings: naming.hasOtherSpellings }
}

function readName(info: Outline, infoHashes: InfoHashes, naming: Naming): string {
  const raw = info.string('name.utf-8') ?? info.string('name')
  if (raw === undefined) throw invalid("'name' must be a byte string")
  if (raw.length === 0) return hashKey(infoHashes)
  naming.hasOtherSpellings ||= nameHasOtherSpellings(raw)
  return spellName(raw, naming.spelling) ?? '_'
}

function singleFile(info: Outline, name: string): FileEntry[] {
  const length = info.get('length')?.scalar
  if (typeof length !== 'number' || length < 0)
    throw badLength('the file', length, info.get('length') !== undefined)
  const attributes = info.string('attr')?.subarray(0, maxAttributeBytes)
  return [{ path: name, name, length, offset: 0, pad: false, ...readFlags(attributes) }]
}
