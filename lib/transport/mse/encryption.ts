/**
 * When peer connections are encrypted (MSE), which hides the protocol from networks that block or slow it.
 *
 * - `false`: never; encrypted incoming connections are closed
 * - `'allow'`: dials plain, and encrypted if the peer closes that; accepts both
 * - `'prefer'`: dials encrypted, and plain if the peer closes that; accepts both, and chooses RC4 if offered
 * - `'require'`: RC4 alone, both ways
 */
export type Encryption = false | 'allow' | 'prefer' | 'require'

/** Values of {@link Encryption}. */
export const encryptions: readonly Encryption[] = [false, 'allow', 'prefer', 'require']

/** How the payload after the MSE handshake is sent: as it is, or by RC4. */
export type MseMethod = 'plain' | 'rc4'

/** The bit of each method in `crypto_provide` and `crypto_select` (MSE). */
export const methodBits = { plain: 1, rc4: 2 } as const

/** Returns the method to choose from those that the peer offers; undefined if none is allowed. */
export function chooseMethod(encryption: Encryption, offered: number): MseMethod | undefined {
  const order: readonly MseMethod[] =
    encryption === 'allow'
      ? ['plain', 'rc4']
      : encryption === 'prefer'
        ? ['rc4', 'plain']
        : encryption === 'require'
          ? ['rc4']
          : []
  return order.find((method) => (offered & methodBits[method]) !== 0)
}
