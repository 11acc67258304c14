// Downloads only the file of a torrent whose name has a given ending.
//   node dist/examples/select-file.js <source> <ending> <folder> [peer]
import { Client } from 'piecewise'

const [source = '', ending = '', path = '.', ...peers] = process.argv.slice(2)
const client = new Client({ path, host: process.env['HOST'] })
// With 'none', nothing is downloaded until a file is selected or read.
const torrent = await client.add(source, { peers, select: 'none' })
const file = torrent.files.find(({ name }) => name.endsWith(ending))
if (file === undefined) {
  console.error(`no file of ${torrent.name} ends with ${ending}`)
  process.exitCode = 1
} else {
  file.select()
  await torrent.whenDone()
  console.log(`${file.path}: ${file.downloaded} of ${torrent.length} bytes`)
}
await client.close()
