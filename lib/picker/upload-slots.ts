const defaultSlots = 8
const mostSlots = 50

/**
 * Returns the number of interested peers to unchoke at a time: the square root of 0.6 times the upload rate in KiB/s, so that
 * each peer gets a useful share. With a limit: 2 to 50, computed from the limit. Without: 8 to 50, computed from the current
 * upload rate. A limit of 0 gives no slots.
 */
export function uploadSlots(limit: number, uploadBytesPerSecond: number): number {
  if (limit <= 0) return 0
  const limited = limit !== Number.POSITIVE_INFINITY
  const slots = Math.round(Math.sqrt((0.6 * (limited ? limit : uploadBytesPerSecond)) / 1024))
  return Math.min(mostSlots, Math.max(limited ? 2 : defaultSlots, slots))
}
