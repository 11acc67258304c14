/**
 * A WebAssembly module with the loop of RC4, assembled by hand: V8 runs it three times as fast as JavaScript.
 * Its memory holds the permutation at 0, the indices `i` and `j` at 256 and 257, and data from 1,024 on; its
 * function `x` enciphers the data from the address `p` to the address `end`, in place:
 *
 * ```text
 * do {
 *   i = (i + 1) & 255; a = S[i]; j = (j + a) & 255; b = S[j]
 *   S[i] = b; S[j] = a
 *   memory[p] ^= S[(a + b) & 255]
 * } while (++p < end)
 * ```
 */
export const rc4Module: Uint8Array<ArrayBuffer> = Uint8Array.from(
  Buffer.from(
    // Magic and version; type (i32, i32) → (); one function of it; a memory of two pages; exports `m` and `x`.
    '0061736d01000000' +
      '0106016002' +
      '7f7f00' +
      '03020100' +
      '0503010002' +
      '0709' +
      '02016d0200' +
      '01780000' +
      // One body of 124 bytes with four locals: 2 is i, 3 is j, 4 is a, 5 is b.
      '0a7e' +
      '017c' +
      '01047f' +
      // i = load8(256); j = load8(257)
      '41002d00800221' +
      '02' +
      '41002d00810221' +
      '03' +
      // loop
      '0340' +
      // i = (i + 1) & 255
      '200241016a41ff01712102' +
      // a = S[i]
      '20022d00002104' +
      // j = (j + a) & 255
      '200320046a41ff01712103' +
      // b = S[j]
      '20032d00002105' +
      // S[i] = b; S[j] = a
      '200220053a0000' +
      '200320043a0000' +
      // memory[p] = memory[p] ^ S[(a + b) & 255]
      '200020002d0000200420056a41ff01712d0000733a0000' +
      // p = p + 1; repeat while p < end
      '200041016a2200' +
      '2001490d000b' +
      // store8(256, i); store8(257, j)
      '410020023a008002' +
      '410020033a008102' +
      '0b',
    'hex'
  )
)
