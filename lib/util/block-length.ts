/** Bytes of a block: the unit of requests (BEP 3), and of leaves of a hash tree (BEP 52). */
export const blockLength: number = 16384
