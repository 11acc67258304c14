import type { Target } from './target.ts'
import { address, trackerUrl } from './targets/address.ts'
import { bencode } from './targets/bencode.ts'
import { command } from './targets/command.ts'
import { extended, pex } from './targets/extended.ts'
import { httpBody } from './targets/http-body.ts'
import { httpReply } from './targets/http-reply.ts'
import { httpServer } from './targets/http-server.ts'
import { krpc } from './targets/krpc.ts'
import { lsd } from './targets/lsd.ts'
import { magnet } from './targets/magnet.ts'
import { mse } from './targets/mse.ts'
import { igd, pmp, routes, ssdp } from './targets/nat.ts'
import { safePath } from './targets/path.ts'
import { proxy } from './targets/proxy.ts'
import { resume, session, stateFolder } from './targets/saved-state.ts'
import { ranges, request } from './targets/server.ts'
import { source } from './targets/source.ts'
import { info, torrent } from './targets/torrent.ts'
import { udpTracker } from './targets/udp-tracker.ts'
import { wire } from './targets/wire.ts'

/** All targets of the fuzzer. */
export const targets: readonly Target[] = [
  bencode,
  torrent,
  info,
  magnet,
  safePath,
  source,
  wire,
  extended,
  pex,
  mse,
  httpReply,
  httpBody,
  udpTracker,
  proxy,
  trackerUrl,
  krpc,
  lsd,
  pmp,
  ssdp,
  igd,
  routes,
  address,
  resume,
  session,
  stateFolder,
  ranges,
  request,
  httpServer,
  command
]
