/**
 * The origin of a URL or a source: the program or the command line, which may name any host, or a remote party (a torrent, a magnet link, a
 * page), who reaches this machine and local networks only as far as SECURITY.md says.
 */
export type Trust = 'program' | 'remote'
