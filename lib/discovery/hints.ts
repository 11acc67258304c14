import type { PeerAddress } from '../util/address.ts'
import { pexFlags } from '../wire/ut-pex.ts'

/**
 * What peers say of a candidate (BEP 11), each true if any of them said so: it prefers encryption, only uploads (a seed), speaks uTP,
 * helps with hole punching, was reached by the peer that tells. Nothing of it is proven.
 */
export type Hints = Readonly<Record<keyof typeof pexFlags, boolean>>

/** An address, and what the peer that names it says of it. */
export interface HintedAddress extends PeerAddress {
  /** A combination of `pexFlags`; default none. */
  readonly flags?: number | undefined
}

const knownFlags = Object.values(pexFlags).reduce((all, flag) => all | flag, 0)

/** Returns what an entry keeps of flags that a peer sent: the known ones, so that an entry costs the same whatever is said of it. */
export function knownOf({ flags = 0 }: HintedAddress): number {
  return flags & knownFlags
}

/** Returns the hints that flags stand for. */
export function hintsOf(flags: number): Hints {
  return {
    encryption: (flags & pexFlags.encryption) !== 0,
    uploadOnly: (flags & pexFlags.uploadOnly) !== 0,
    utp: (flags & pexFlags.utp) !== 0,
    holepunch: (flags & pexFlags.holepunch) !== 0,
    reachable: (flags & pexFlags.reachable) !== 0
  }
}
