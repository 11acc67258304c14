import type { TransportName } from '../net/connection.ts'
import type { Encryption } from '../transport/mse/encryption.ts'
import type { Hints } from './hints.ts'

/** A way to dial an address. */
export interface DialVariant {
  readonly transport: TransportName
  /** Without MSE; with MSE and both of its methods on offer; or with MSE and RC4 alone. */
  readonly encryption: 'plain' | 'mse' | 'rc4'
}

/** Ways in which a client dials. */
export interface DialRules {
  readonly encryption: Encryption
  /** Transports in use, the preferred one first. */
  readonly transports: readonly TransportName[]
}

/**
 * How far a dial came when it failed.
 *
 * - unreachable: there was no connection
 * - closed: the peer closed it without a byte
 * - key: the peer closed it after sending its public key: it supports MSE, but lacks the torrent or refuses our offer
 * - answered: the peer sent anything else, or we closed the connection
 */
export type DialEnd = 'unreachable' | 'closed' | 'key' | 'answered'

/**
 * Returns the variants to try, in order: the one that `worked` last comes first if it is still allowed. Peers
 * reported to prefer encryption, and all over uTP, are dialled with MSE before they are dialled without.
 */
export function variantsOf(
  { encryption, transports }: DialRules,
  hints: Pick<Hints, 'encryption' | 'utp'>,
  worked?: DialVariant
): readonly DialVariant[] {
  const order = hints.utp
    ? [...transports].sort((a, b) => Number(b === 'utp') - Number(a === 'utp'))
    : transports
  const variants = order.flatMap((transport) =>
    encryptionsOf(encryption, hints.encryption || transport === 'utp').map(
      (one): DialVariant => ({ transport, encryption: one })
    )
  )
  if (worked === undefined) return variants
  const isWorked = (one: DialVariant): boolean =>
    one.transport === worked.transport && one.encryption === worked.encryption
  return [...variants.filter(isWorked), ...variants.filter((one) => !isWorked(one))]
}

/** Returns the variants, of those that are left, that are worth trying after a failed one. */
export function variantsAfter(
  failed: DialVariant,
  left: readonly DialVariant[],
  end: DialEnd
): readonly DialVariant[] {
  const isSame = ({ transport }: DialVariant): boolean => transport === failed.transport
  if (end === 'answered') return []
  if (end === 'unreachable') return left.filter((one) => !isSame(one))
  // Programs that refuse one offer may take the other: Transmission wants RC4 alone.
  if (end === 'key')
    return failed.encryption === 'mse' ? left.filter((one) => isSame(one) && one.encryption === 'rc4') : []
  // Without an answer to the first bytes of MSE, another offer fails like this one.
  if (failed.encryption === 'plain') return left
  return left.filter((one) => !isSame(one) || one.encryption === 'plain')
}

function encryptionsOf(encryption: Encryption, isMseFirst: boolean): readonly DialVariant['encryption'][] {
  if (encryption === false) return ['plain']
  if (encryption === 'require') return ['rc4']
  return encryption === 'prefer' || isMseFirst ? ['mse', 'rc4', 'plain'] : ['plain', 'mse', 'rc4']
}
