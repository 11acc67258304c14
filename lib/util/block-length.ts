/** Bytes of a block: what one request asks for (BEP 3), and what a leaf of a tree of hashes covers (BEP 52). */
export const blockLength: number = 16384
