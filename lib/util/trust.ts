import type { Refuse } from './options.ts'
import { show } from './show.ts'

/**
 * Origin of a URL or source.
 *
 * - `program`: the program or the command line; may lead to any host
 * - `remote`: a torrent, magnet link or web page; reaches this machine and local networks only as SECURITY.md
 *   describes
 */
export type Trust = 'program' | 'remote'

/**
 * Rejects values that are neither undefined nor a {@link Trust}: a misspelled value must not count as
 * `program`. @throws the error from `refuse`.
 */
export function checkTrust(trust: unknown, refuse: Refuse): void {
  if (trust !== undefined && trust !== 'program' && trust !== 'remote')
    throw refuse('trust', `${show(trust)} must be 'program' or 'remote'`)
}
