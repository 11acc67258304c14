// Preloaded into a program: writes device and inode of each file that any thread opens to the file that
// TRACE_OPENS names.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const log = fs.openSync(process.env['TRACE_OPENS'] ?? '', 'a')

function traced<A extends unknown[], R>(call: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const [path] = args
    if (typeof path === 'string') note(path)
    return call(...args)
  }
}

function note(path: string): void {
  const stats = fs.statSync(path, { bigint: true, throwIfNoEntry: false })
  if (stats?.isFile() === true) fs.writeSync(log, `${stats.dev}:${stats.ino}\n`)
}

const { promises } = fs
Object.assign(promises, {
  open: traced(promises.open),
  readFile: traced(promises.readFile),
  writeFile: traced(promises.writeFile)
})
Object.assign(fs, {
  open: traced(fs.open),
  openSync: traced(fs.openSync),
  readFile: traced(fs.readFile),
  readFileSync: traced(fs.readFileSync),
  createReadStream: traced(fs.createReadStream)
})
syncBuiltinESMExports()
