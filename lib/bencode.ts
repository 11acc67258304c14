export { BencodeDict, type BencodeValue } from './bencode/bencode-dict.ts'
export {
  type Decoded,
  type DecodeLimits,
  decode,
  decodeDetailed,
  decodePrefix,
  type Irregularity
} from './bencode/decode.ts'
export { type BencodeInput, encode } from './bencode/encode.ts'
