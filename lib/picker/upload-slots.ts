const defaultSlots = 8
const mostSlots = 50

/**
 * How many interested peers to serve at a time: the root of 0.6 times the KiB per second that there are to give, so
 * that each gets a share worth having. 2 at least and 50 at most under a limit; without a limit what was sent last
 * counts, and 8 is the least. A limit of 0 leaves no place.
 */
export function uploadSlots(limit: number, uploadBytesPerSecond: number): number {
  if (limit <= 0) return 0
  const limited = limit !== Number.POSITIVE_INFINITY
  const slots = Math.round(Math.sqrt((0.6 * (limited ? limit : uploadBytesPerSecond)) / 1024))
  return Math.min(mostSlots, Math.max(limited ? 2 : defaultSlots, slots))
}
