import { type LocalInterface, sharesNetwork } from '../net/local-interfaces.ts'
import { scopeOf } from './address-scope.ts'

/** Whether an address is one of a neighbour: private, or in the network of one of the interfaces; of loopback alone, loopback. */
export function isNeighbour(host: string, interfaces: readonly LocalInterface[]): boolean {
  const scope = scopeOf(host)
  if (interfaces.every(({ internal }) => internal)) return scope === 'loopback'
  return scope === 'private' || (scope === 'public' && sharesNetwork(host, interfaces))
}
