import type { Refuse } from './options.ts'
import { show } from './show.ts'

/**
 * The origin of a URL or a source: the program or the command line, which may name any host, or a remote party (a torrent, a magnet link, a
 * page), who reaches this machine and local networks only as far as SECURITY.md says.
 */
export type Trust = 'program' | 'remote'

/** Refuses what is neither undefined nor a {@link Trust}: a misspelled one must not count as the program's. @throws what `refuse` makes. */
export function checkTrust(trust: unknown, refuse: Refuse): void {
  if (trust !== undefined && trust !== 'program' && trust !== 'remote')
    throw refuse('trust', `${show(trust)} must be 'program' or 'remote'`)
}
