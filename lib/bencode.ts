export { BencodeDict, type BencodeValue } from './bencode/bencode-dict.ts'
export { type Decoded, decode, decodeDetailed, decodePrefix } from './bencode/decode.ts'
export { type BencodeInput, encode } from './bencode/encode.ts'
export type { DecodeLimits, Irregularity } from './bencode/scanner.ts'
