import { BencodeDict } from '../bencode/bencode-dict.ts'
import { decodeSteps } from '../bencode/decode.ts'
import type { Steps } from '../util/turn-share.ts'
import type { Metainfo } from './metainfo.ts'
import { invalid, readNames } from './parse-info.ts'
import type { Spelling } from './spelling.ts'

/** The same torrent with its name and files in another spelling; itself when there is but one. */
export function* respellSteps(metainfo: Metainfo, spelling: Spelling): Steps<Metainfo> {
  if (metainfo.spelling === undefined || metainfo.spelling === spelling) return metainfo
  const dict = yield* decodeSteps(metainfo.info)
  if (!(dict instanceof BencodeDict)) throw invalid('the info is no dictionary')
  const { name, files } = yield* readNames(dict, metainfo.infoHashes, spelling)
  return { ...metainfo, name, files, spelling }
}
