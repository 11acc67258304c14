import { outlineSteps } from '../bencode/outline.ts'
import type { Steps } from '../util/slices.ts'
import type { Metainfo } from './metainfo.ts'
import { nameKeys, readNames } from './read-names.ts'
import type { Spelling } from './spelling.ts'

/** Returns the torrent with its name and files in another spelling; the same object when there is only one spelling. */
export function* respellSteps(metainfo: Metainfo, spelling: Spelling): Steps<Metainfo> {
  if (metainfo.spelling === undefined || metainfo.spelling === spelling) return metainfo
  const outline = yield* outlineSteps(metainfo.info, nameKeys)
  // The torrent was within the limits when it was parsed.
  const { name, files } = yield* readNames(outline, metainfo.infoHashes, { spelling, unlimited: true })
  return { ...metainfo, name, files, spelling }
}
