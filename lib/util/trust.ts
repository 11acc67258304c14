/**
 * Who gives a URL or a source: the program or the command line, which may lead us anywhere, or somebody else (a torrent, a magnet link, a
 * page), who reaches this machine and local networks only as far as SECURITY.md says.
 */
export type Trust = 'program' | 'remote'
