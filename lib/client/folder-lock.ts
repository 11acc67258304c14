import { readFileSync, realpathSync } from 'node:fs'
import { open, readFile, rename, stat, unlink, utimes } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import { makeSyncedFolder, nodeFs } from '../storage/storage-fs.ts'
import { randomBytes, toHex } from '../util/bytes.ts'
import { systemCode } from '../util/errors.ts'

/** A lock of another machine counts as held if its file was touched within this time. */
const staleMs = 120_000
/** A lock that is still incomplete after this time was left by a process that ended while writing it. */
const tornMs = 100
const touchEveryMs = 30_000
/** Paths of the locks that this thread holds: its process id is the same for all its clients, so the file cannot tell them apart. */
const heldLocks = new Set<string>()

/** A lock file that gives one client at a time the use of a folder. It is no longer held once its process has ended, even by a crash. */
export class FolderLock {
  readonly #path: string
  readonly #key: string
  readonly #text: string
  readonly #timer: NodeJS.Timeout

  private constructor(path: string, key: string, text: string) {
    this.#path = path
    this.#key = key
    this.#text = text
    this.#timer = setInterval(() => {
      const now = new Date()
      utimes(path, now, now).catch(() => {})
    }, touchEveryMs)
    this.#timer.unref()
  }

  /** Acquires the lock `name` of a folder, which is created if it is missing. Resolves with undefined if another client holds it. */
  static async take(folder: string, name: string): Promise<FolderLock | undefined> {
    await makeSyncedFolder(nodeFs, folder, 0o700)
    const path = join(folder, name)
    const key = join(realpathSync(folder), name)
    if (heldLocks.has(key)) return undefined
    heldLocks.add(key)
    try {
      const text = JSON.stringify({ ...thisHolder(), token: toHex(randomBytes(8)) })
      for (let attempt = 0; attempt < 3; attempt++) {
        if (await create(path, text)) return new FolderLock(path, key, text)
        const found = await readFile(path, 'utf8').catch(() => undefined)
        if (found === undefined) continue
        if (isTorn(found)) {
          await sleep(tornMs)
          // If it has changed, its process is still writing it.
          if ((await readFile(path, 'utf8').catch(() => undefined)) !== found) continue
        } else if (await isHeld(path, found)) break
        await removeStale(path, found)
      }
    } catch (error) {
      heldLocks.delete(key)
      throw error
    }
    heldLocks.delete(key)
    return undefined
  }

  /** Releases the lock. Idempotent. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    if (!heldLocks.has(this.#key)) return
    const text = await readFile(this.#path, 'utf8').catch(() => undefined)
    if (text === this.#text) await unlink(this.#path).catch(() => {})
    heldLocks.delete(this.#key)
  }
}

/** The holder of a lock: a thread of a process. */
export interface Holder {
  readonly pid: number
  readonly thread: number
  readonly host: string
  /** Start time of the process, to detect a reused process id; empty where the OS does not report it. */
  readonly started: string
}

function thisHolder(): Holder {
  return { pid: process.pid, thread: threadId, host: hostname(), started: startTimeOf(process.pid) }
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx', 0o600)
    try {
      await handle.writeFile(text)
    } catch (error) {
      await unlink(path).catch(() => {})
      throw error
    } finally {
      await handle.close()
    }
    // Another process may have removed it as incomplete before it was written.
    return (await readFile(path, 'utf8').catch(() => undefined)) === text
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

async function isHeld(path: string, text: string): Promise<boolean> {
  const holder = parseHolder(text)
  const us = thisHolder()
  if (holder === undefined || holder.host !== us.host) {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }))
    return Math.abs(Date.now() - mtimeMs) < (holder === undefined ? touchEveryMs : staleMs)
  }
  // Our own process id, but not our lock: an earlier process had the same id, as is usual in containers.
  if (holder.pid === us.pid && holder.thread === us.thread) return false
  return isAlive(holder.pid) && (holder.started === '' || holder.started === startTimeOf(holder.pid))
}

/** Removes a stale lock. If another process has replaced it meanwhile, its lock is put back. */
async function removeStale(path: string, text: string): Promise<void> {
  const aside = `${path}.${process.pid}.stale`
  try {
    await rename(path, aside)
    if ((await readFile(aside, 'utf8')) === text) await unlink(aside)
    else await rename(aside, path)
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
  }
}

/** Returns whether the text of a lock is incomplete. */
function isTorn(text: string): boolean {
  try {
    JSON.parse(text)
    return false
  } catch {
    return true
  }
}

/** Parses the text of a lock; returns undefined if it is invalid. */
export function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, thread, host, started } = value as Partial<Record<keyof Holder, unknown>>
    if (typeof pid !== 'number' || typeof thread !== 'number') return undefined
    if (typeof host !== 'string' || typeof started !== 'string') return undefined
    return { pid, thread, host, started }
  } catch {
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** Returns the start time of a process in clock ticks since boot; '' where there is no /proc. */
function startTimeOf(pid: number): string {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Field 2, the program name, is in parentheses and can contain anything. The start time is field 22.
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
