export type { DatagramClaim, DatagramPort } from './net/datagram-port.ts'
export type { HostLookup } from './net/resolve-host.ts'
export { announce } from './tracker/announce.ts'
export type { AnnounceTiming } from './tracker/announce-loop.ts'
export { Announcement, type AnnouncementOptions, type AnnounceRequest } from './tracker/announcement.ts'
export type {
  AnnounceCounters,
  AnnounceEvent,
  AnnounceParameters,
  ScrapeResult,
  TrackerReply,
  UdpSchedule
} from './tracker/request.ts'
export { type ScrapeOptions, scrape } from './tracker/scrape.ts'
export { announceTiers, type TierMode, type TierOptions } from './tracker/tiers.ts'
export type { TrackerOptions } from './tracker/tracker-options.ts'
export type { TrackerPhase, TrackerState, TrackerStatus } from './tracker/tracker-state.ts'
export {
  patientSchedule,
  type UdpAnnounceOptions,
  type UdpRequestOptions,
  UdpTrackerClient,
  type UdpTrackerClientOptions
} from './tracker/udp-tracker-client.ts'
export type { PeerAddress } from './util/address.ts'
export type { Timers } from './util/timers.ts'
export type { Trust } from './util/trust.ts'
