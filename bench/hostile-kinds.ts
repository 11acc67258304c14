import { type AttackKind, attackKinds } from './attack-kinds.ts'

/** Idle connections whose number is the attack. */
export interface Crowding {
  readonly perMs: number
  /** Maximum open connections. */
  readonly most: number
  /** Number of addresses, in one /24, that they come from. */
  readonly addresses: number
  /** Whether they send nothing, not even a handshake. */
  readonly silent: boolean
}

/** Kinds of idle connections, by name. */
export const crowdings: Readonly<Record<string, Crowding>> = {
  // The limit keeps the attacker below its limit of file descriptors.
  '1,700 silent connections a second': { perMs: 1.7, most: 8000, addresses: 1, silent: true },
  '250 idle peers of one network': { perMs: 0.5, most: 250, addresses: 250, silent: false }
}

/** Kinds at rates that blocked clients in the past; all other kinds send as fast as they can. */
const paced: Readonly<Record<string, AttackKind>> = {
  'have-none, 7 KB a second': pace('have-none', 1400, 1000),
  'have-none, 52 KB a second': pace('have-none', 1040, 100)
}

/** The names of all kinds that are run against an honest download. */
export const hostileKinds: readonly string[] = [attackKinds, paced, crowdings].flatMap((kinds) =>
  Object.keys(kinds)
)

/** Returns the messages of a kind. */
export function hostileKindOf(name: string): AttackKind {
  const kind = attackKinds[name] ?? paced[name]
  if (kind === undefined) throw new Error(`there is no '${name}'`)
  return kind
}

/** Returns a kind with this many rounds per send and a pause after each. */
function pace(name: string, rounds: number, pauseMs: number): AttackKind {
  const kind = attackKinds[name]
  if (kind === undefined) throw new Error(`there is no '${name}'`)
  return { ...kind, rounds, pauseMs }
}
