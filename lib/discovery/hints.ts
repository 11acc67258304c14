import type { PeerAddress } from '../util/address.ts'
import { pexFlags } from '../wire/ut-pex.ts'

/**
 * Unproven hints from other peers about a candidate (BEP 11); each is true if any peer gave it: prefers
 * encryption, is upload-only (a seed), supports uTP, supports hole punching, was reached by the peer that
 * names it.
 */
export type Hints = Readonly<Record<keyof typeof pexFlags, boolean>>

/** An address with the flags of the peer that names it. */
export interface HintedAddress extends PeerAddress {
  /** A combination of `pexFlags`; default none. */
  readonly flags?: number | undefined
}

/** Returns the hints of PEX flags; ignores unknown bits. */
export function hintsOf(flags: number): Hints {
  return {
    encryption: (flags & pexFlags.encryption) !== 0,
    uploadOnly: (flags & pexFlags.uploadOnly) !== 0,
    utp: (flags & pexFlags.utp) !== 0,
    holepunch: (flags & pexFlags.holepunch) !== 0,
    reachable: (flags & pexFlags.reachable) !== 0
  }
}
