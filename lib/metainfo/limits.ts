/** Limits of a .torrent, an info dictionary from peers and a magnet link, each with its reason. */

/** Maximum bytes of a .torrent or an info dictionary. The largest in use have 30 MB, and all bytes are held in memory. */
export const maxTorrentBytes: number = 64 * 2 ** 20
/** Maximum pieces of a torrent; limits the index in a have message and the size of a bitfield. */
export const maxPieceCount: number = 2 ** 21
/** Maximum bytes of a piece: a piece can be verified only when it is complete. No torrent in use has larger ones. */
export const maxPieceLength: number = 2 ** 29
/** Maximum elements of a file's path below the torrent's name; operating systems reject paths that are much deeper. */
export const maxPathDepth: number = 100
/**
 * Maximum elements of all paths together. Each may be a folder, which costs memory while names are made unique, and a system call
 * when files are created. A torrent of 400,000 files five folders deep reaches it.
 */
export const maxPathElements: number = 2_000_000
/** Maximum UTF-8 bytes of a path element: the limit of common file systems. */
export const maxElementBytes: number = 255
/** Maximum bytes of an element that are decoded, half of them from each end. Only 255 are kept, and decoding many is slow. */
export const maxReadElementBytes: number = 8192
/** Maximum bytes of a file's `attr` that are read; BEP 47 defines four letters. */
export const maxAttributeBytes = 64
/** Maximum URLs or nodes of one kind: each is stored, and costs connections and look-ups. */
export const maxListed: number = 1000
/** Maximum bytes of a URL; longer ones are ignored. No tracker or server accepts them, and lists of URLs are stored and sent on. */
export const maxUrlBytes: number = 2 ** 16
/** Maximum bytes of a DHT node's host; longer ones are ignored. Host names have at most 253 bytes. */
export const maxHostBytes: number = 255
/** Maximum characters of a magnet URI; one with 1,000 trackers has fewer. */
export const maxUriLength: number = 2 ** 20
/**
 * Maximum parameters of a magnet URI that are read; trackers, web seeds, exact sources and peers may be {@link maxListed} each. The
 * length alone would allow 300,000, which take 300 ms.
 */
export const maxParameters = 4000
/** Maximum ranges of `so` that are read. A torrent of 20,000 files with every other one selected has as many. */
export const maxRanges = 10_000
/** Greater file indices are clamped to this one; no torrent has so many files. */
export const maxFileIndex: number = 2 ** 40
