// Long runs over loopback; exit with 1 when a rule is broken.
//   npm run soak                    readers of different speed on one torrent; --minutes, 10 by default
//   npm run soak -- --torrents      ten torrents in one client, and two readers; --minutes
//   npm run soak -- --attacked      a download and a reader under attack; --rounds, --kind
const [chosen] = process.argv.filter((word) => word === '--torrents' || word === '--attacked')
if (chosen === '--torrents') await import('./soak-torrents.ts')
else if (chosen === '--attacked') await import('./soak-attacked.ts')
else await import('./soak-readers.ts')
