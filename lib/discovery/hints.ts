import type { PeerAddress } from '../util/address.ts'
import { pexFlags } from '../wire/ut-pex.ts'

/**
 * Hints of peers about a candidate (BEP 11), each true if any of them gave it: it prefers encryption, only uploads (a seed), speaks uTP,
 * helps with hole punching, was reached by the peer that tells. Nothing of it is proven.
 */
export type Hints = Readonly<Record<keyof typeof pexFlags, boolean>>

/** An address, and what the peer that names it says of it. */
export interface HintedAddress extends PeerAddress {
  /** A combination of `pexFlags`; default none. */
  readonly flags?: number | undefined
}

/** Returns the hints that flags stand for; other bits stand for none. */
export function hintsOf(flags: number): Hints {
  return {
    encryption: (flags & pexFlags.encryption) !== 0,
    uploadOnly: (flags & pexFlags.uploadOnly) !== 0,
    utp: (flags & pexFlags.utp) !== 0,
    holepunch: (flags & pexFlags.holepunch) !== 0,
    reachable: (flags & pexFlags.reachable) !== 0
  }
}
