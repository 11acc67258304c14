// Preloaded into programs that tests start, so that they send nothing to the local network: they see no
// interfaces, and only localhost resolves.
import dns from 'node:dns/promises'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'

os.networkInterfaces = () => ({})
dns.lookup = (async (name: string) => {
  if (name === 'localhost') return [{ address: '127.0.0.1', family: 4 }]
  throw Object.assign(new Error(`no network: ${name}`), { code: 'ENOTFOUND' })
}) as unknown as typeof dns.lookup
syncBuiltinESMExports()
