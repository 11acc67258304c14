import { type LocalInterface, sharesNetwork } from '../net/local-interfaces.ts'
import { scopeOf } from './address-scope.ts'

/**
 * Returns whether a host is on the local network: private, or in the network of one of the interfaces. With
 * loopback interfaces only, loopback hosts alone qualify.
 */
export function isOnLocalNetwork(host: string, interfaces: readonly LocalInterface[]): boolean {
  const scope = scopeOf(host)
  if (interfaces.every(({ internal }) => internal)) return scope === 'loopback'
  return scope === 'private' || (scope === 'public' && sharesNetwork(host, interfaces))
}
