// Preloaded into programs that tests start, so that these send nothing to the local network, whatever they are asked to do:
// as far as they can see there are no interfaces, and no name but localhost has an address.
import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'

os.networkInterfaces = () => ({})
dns.lookup = (async (name: string) => {
  if (name === 'localhost') return [{ address: '127.0.0.1', family: 4 }]
  throw Object.assign(new Error(`no network: ${name}`), { code: 'ENOTFOUND' })
}) as unknown as typeof dns.lookup
syncBuiltinESMExports()
