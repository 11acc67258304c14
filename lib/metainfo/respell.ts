import { outlineSteps } from '../bencode/outline.ts'
import type { Steps } from '../util/turn-share.ts'
import type { Metainfo } from './metainfo.ts'
import { nameKeys, readNames } from './read-names.ts'
import type { Spelling } from './spelling.ts'

/** The same torrent with its name and files in another spelling; itself when there is but one. */
export function* respellSteps(metainfo: Metainfo, spelling: Spelling): Steps<Metainfo> {
  if (metainfo.spelling === undefined || metainfo.spelling === spelling) return metainfo
  const outline = yield* outlineSteps(metainfo.info, nameKeys)
  // Its first spelling was within the limits.
  const { name, files } = yield* readNames(outline, metainfo.infoHashes, { spelling, unlimited: true })
  return { ...metainfo, name, files, spelling }
}
