import { canonicalHost } from '../util/address.ts'
import { debug } from '../util/debug.ts'
import { asError } from '../util/errors.ts'
import type { Timers } from '../util/timers.ts'
import { limits } from './limits.ts'
import type { NatNetwork } from './nat-network.ts'
import { isAnnouncement } from './pmp-router.ts'

const log = debug('nat')
/** Group and port on which routers tell that they have restarted (RFC 6886, RFC 6887). */
const group = { host: '224.0.0.1', port: 5350 } as const

/** Options of {@link Announcements}. */
export interface AnnouncementsOptions {
  readonly network: Pick<NatNetwork, 'multicast'>
  readonly timers: Timers
  /** Returns whether a host is one of our routers. */
  isRouter(host: string): boolean
  /** Called when a router has announced itself, at most every 30 seconds, because every host of the network can forge the announcement. */
  onAnnounced(): void
}

/** Listens for routers that tell that they have restarted and lost their mappings. */
export class Announcements {
  readonly #opened: Promise<{ close(): Promise<void> } | undefined>
  #lastAt = Number.NEGATIVE_INFINITY

  /** Joins the group at once; if that fails, announcements are missed, and mappings are renewed at the regular time. */
  constructor({ network, timers, isRouter, onAnnounced }: AnnouncementsOptions) {
    const onMessage = (message: Uint8Array): void => {
      if (!isAnnouncement(message) || timers.now() - this.#lastAt < limits.announcementMs) return
      this.#lastAt = timers.now()
      onAnnounced()
    }
    const accepts = (host: string): boolean => isRouter(canonicalHost(host))
    this.#opened = network
      .multicast({ family: 4, group: group.host, port: group.port, accepts, onMessage })
      .catch((thrown) => {
        if (log.enabled) log('cannot listen for announcements: %s', asError(thrown).message)
        return undefined
      })
  }

  /** Leaves the group. */
  async close(): Promise<void> {
    await (await this.#opened)?.close()
  }
}
