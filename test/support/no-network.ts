// Preloaded into programs that tests start, so that these send nothing to the local network, whatever they are asked to do:
// as far as they can see there are no interfaces.
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'

os.networkInterfaces = () => ({})
syncBuiltinESMExports()
