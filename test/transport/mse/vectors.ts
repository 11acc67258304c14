/** A handshake that was computed by other programs: both secrets, the info hash, and all that follows from them. */
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')

/** The secrets of both sides. */
export const secretA: Uint8Array = new Uint8Array(20).fill(0x11)
/** See above. */
export const secretB: Uint8Array = new Uint8Array(20).fill(0x22)
/** The info hash of the torrent. */
export const infoHash: Uint8Array = Uint8Array.from({ length: 20 }, (_, at) => at)
/** The public keys. */
export const publicA: Buffer = hex(
  '3476dc8d123697fcc69e9121618a0851 4ffa536506df209ce956ad3cf819f76f 3fcebc46f4e8be364ec8f1445b9dbf8a 9528ca7bfbc89ad13f28137640a2cfd1 055d55d5cc6676d18b410e086631309e 95fa7b0dae2b8379186b17ad3472c755'
)
/** See above. */
export const publicB: Buffer = hex(
  '0816092aa9b6a0bfdd7b86a6bac830de a6c71c4008a1fb53b69dc1c4acd99f8f 3cf79d9d9ac411e18b59c0b58146912e 51d0e508d20064b8633a85e20061823d 9284b907b2dd0612884e61e9ebb8c9b4 62eda2f227491a6082bc58d6a1315c39'
)
/** The shared secret. */
export const shared: Buffer = hex(
  'ef037082d79ae7baeddb00b3ba4f24ec 8a79c06c927258e89e01c46f8249187e 672c919b9ff29abeb97fd230f6302fb1 21a5bad27c4c34e48722446a121d5e21 3b13e9eeb6dd23716be80c8a1cf31af2 9589c5245e74b3b8713d6b229ce05731'
)
/** The hash after PadA, and the hidden name of the torrent. */
export const mark: Buffer = hex('32dd7e3b16e8d7a1b444ea3f4167e202514f9feb')
/** See above. */
export const hiddenName: Buffer = hex('7de15641025aa5da94322b22d792033e81a34c7f')
/** The first 16 bytes of each stream. */
export const streamA: Buffer = hex('9529bd86a508fa4a07dcfad827e34361')
/** See above. */
export const streamB: Buffer = hex('bdb873b37b8af573903872af791f1856')
/** The offer of both methods with an IA of 68 bytes and no padding, up to the length of IA. */
export const offerHead: Buffer = hex('9529bd86a508fa4a07dcfadb27e34325')
/** The choice of RC4 without padding. */
export const choice: Buffer = hex('bdb873b37b8af573903872ad791f')
