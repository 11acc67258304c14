/** Bounds on what a .torrent, an info dictionary from peers or a magnet link may hold, each with its reason. */

/** Most bytes of a .torrent or an info dictionary. The largest in use have 30 MB, and every byte is held in memory. */
export const maxTorrentBytes: number = 64 * 2 ** 20
/** Most pieces of a torrent: bounds what a have message may name and what a bitfield may cost. */
export const maxPieceCount: number = 2 ** 21
/** Most bytes of a piece: nothing of it counts before all of it has come, and no torrent in use has larger ones. */
export const maxPieceLength: number = 2 ** 29
/** Most elements of a file's path below the torrent's name; systems take no path that is much deeper. */
export const maxPathDepth: number = 100
/**
 * Most elements of all paths together: each may be a folder of its own, which costs memory while names are made unique, and a call
 * to the system when files are made. A torrent of 400,000 files five folders deep has as many.
 */
export const maxPathElements: number = 2_000_000
/** Most bytes of an element in UTF-8: what file systems take. */
export const maxElementBytes: number = 255
/** First and last bytes that are read of a longer element; 255 of them are kept, and decoding many takes long. */
export const maxReadElementBytes: number = 8192
/** Bytes of a file's `attr` that are read; BEP 47 knows four letters. */
export const maxAttributeBytes = 64
/** Most URLs or nodes of one kind: each is stored, and costs connections and look-ups. */
export const maxListed: number = 1000
/** Longer URLs are passed over: no tracker or server takes them, and lists of them are stored and sent on. */
export const maxUrlBytes: number = 2 ** 16
/** Longer names of DHT nodes are passed over: host names have at most 253 bytes. */
export const maxHostBytes: number = 255
/** Most characters of a magnet URI; one with 1,000 trackers has fewer. */
export const maxUriLength: number = 2 ** 20
/**
 * Parameters of a magnet URI that are read: a full list of each kind, and as many of other kinds. The length would allow for 300,000,
 * which take 300 ms.
 */
export const maxParameters = 4000
/** Ranges of `so` that are read. A torrent of 20,000 files, every other one selected, has as many. */
export const maxRanges = 10_000
/** Greater indices count as this one; no torrent has as many files. */
export const maxFileIndex: number = 2 ** 40
