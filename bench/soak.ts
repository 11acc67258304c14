// Long runs over loopback that end with 1 when a rule was broken; each takes --minutes, 10 by default.
//   npm run soak                    readers of different speed on one torrent
//   npm run soak -- --torrents      ten torrents in one client, and two readers
await (process.argv.includes('--torrents') ? import('./soak-torrents.ts') : import('./soak-readers.ts'))
