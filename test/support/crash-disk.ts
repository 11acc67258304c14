// Stands between node:fs and the library, so that a disk can fail, or a process die, at each change of a
// folder. Replaces functions of node:fs: a test imports this file before any file of lib/. Calls pass through
// unchanged while no disk is armed.
import fs, { constants } from 'node:fs'
import promises, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'

/**
 * The fault at a step. `die`: the process ends before the step. `tear`: the process ends in the middle of it,
 * with half of the bytes written. `full`: the disk is full from this step on. `short`: the disk is full at
 * this step alone.
 */
export type Fault = 'die' | 'tear' | 'full' | 'short'

/**
 * The data that a power cut loses if it was not synced. `synced`: names and bytes. `named`: bytes only; the
 * names stay.
 */
export type Loss = 'synced' | 'named'

/** Tells files apart that had the same inode at different times. */
type FileId = symbol
type Call = (this: unknown, ...args: unknown[]) => Promise<unknown>
type Calls = Record<string, Call>

const calls = promises as unknown as Calls
/** Calls that change a folder and take the path first. Calls that open or copy are handled below. */
const changing = [
  'mkdir',
  'rename',
  'unlink',
  'rmdir',
  'rm',
  'link',
  'symlink',
  'truncate',
  'utimes',
  'chmod'
]
const writing = ['writeFile', 'appendFile', 'copyFile', 'cp', 'mkdtemp']
const reading = ['stat', 'lstat', 'readFile', 'readdir', 'realpath', 'access']
const handleWriting = ['write', 'writev', 'writeFile', 'appendFile']
const handleChanging = ['truncate', 'datasync', 'sync', 'utimes', 'chmod']
const handleReading = ['read', 'readv', 'readFile', 'stat']
const growing = new Set([
  'mkdir',
  'link',
  'symlink',
  ...writing,
  ...handleWriting,
  'datasync',
  'sync',
  'create'
])

const disks = new Set<CrashDisk>()
const paths = new WeakMap<object, string>()
/** Open handles, and how to close each. */
const handles = new Map<FileHandle, () => Promise<void>>()
/** Calls of a dead process wait for this. */
const never = new Promise<never>(() => {})

/** Counts the changes of a folder as steps, and injects a fault at one of them. */
export class CrashDisk {
  readonly folder: string
  /** A description of each step so far. */
  readonly steps: string[] = []
  #at = Number.POSITIVE_INFINITY
  #fault: Fault = 'die'
  #dead = false
  #failed = false
  #kill: (() => void) | undefined
  readonly #running = new Set<Promise<unknown>>()
  #onDeath: () => void = () => {}
  /** Resolves when the process would have ended. */
  readonly death: Promise<void> = new Promise((resolve) => {
    this.#onDeath = resolve
  })
  /** Bytes of files at their last sync. */
  readonly #bytes = new Map<FileId, Buffer>()
  /** Names in folders at their last sync. A folder has no id. */
  readonly #names = new Map<string, Map<string, FileId | undefined>>()
  /** The file that has each inode now. */
  readonly #ids = new Map<number, FileId>()

  /** Counts changes of the folder from now on. Files that are there already count as synced. */
  constructor(folder: string) {
    this.folder = fs.realpathSync(folder)
    this.#keepTree(this.folder)
    disks.add(this)
  }

  /**
   * Injects a fault at a step. `kill` ends the process; without it, the calls of the dead process never
   * settle.
   */
  arm(fault: Fault, at: number, kill?: () => void): void {
    this.#fault = fault
    this.#at = at
    this.#kill = kill
  }

  /** Whether the armed step was reached. */
  get hasFailed(): boolean {
    return this.#failed
  }

  /** Makes space on the full disk. */
  free(): void {
    this.#at = Number.POSITIVE_INFINITY
  }

  /** Waits for the pending writes, then copies to `target` the files that the next run finds. */
  async copyTo(target: string): Promise<void> {
    await Promise.allSettled(this.#running)
    fs.cpSync(this.folder, target, { recursive: true, preserveTimestamps: true })
  }

  /** Copies the files that are left after a power cut. */
  async salvageTo(target: string, loss: Loss): Promise<void> {
    await Promise.allSettled(this.#running)
    this.#salvage(this.folder, target, loss)
  }

  /** Stops counting. */
  async close(): Promise<void> {
    if (!this.#dead) disks.delete(this)
    await Promise.allSettled(this.#running)
    for (const [handle, close] of this.#dead ? handles : []) {
      if (!isBelow(this.folder, paths.get(handle))) continue
      handles.delete(handle)
      await close()
    }
  }

  /** Runs a call on this disk. `half` does a part of it. */
  async call(
    name: string,
    isChange: boolean,
    run: () => Promise<unknown>,
    half?: () => Promise<unknown>
  ): Promise<unknown> {
    if (this.#dead) return never
    if (isChange) {
      this.steps.push(name)
      const step = this.steps.length
      const fails = step === this.#at || (this.#fault === 'full' && step > this.#at)
      this.#failed ||= fails
      if (fails && (this.#fault === 'die' || this.#fault === 'tear')) {
        this.#dead = true
        if (this.#fault === 'tear') await half?.()
        this.#kill?.()
        this.#onDeath()
        return never
      }
      if (fails && growing.has(name.split(' ')[0] ?? '')) {
        // A part of the data may still fit.
        await half?.()
        throw Object.assign(new Error(`ENOSPC: no space left on device, ${name}`), { code: 'ENOSPC' })
      }
    }
    const running = run()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
      if (this.#dead) await never
    }
  }

  /** Records that a file was made: an earlier file with the same inode is another file. */
  made(inode: number): void {
    this.#ids.set(inode, Symbol())
  }

  /** Records that a file or folder was synced. */
  synced(handle: FileHandle): void {
    const stats = fs.fstatSync(handle.fd)
    if (stats.isDirectory()) this.#keepNames(paths.get(handle) ?? '')
    else this.#bytes.set(this.#idOf(stats.ino), readAll(handle.fd, stats.size))
  }

  #idOf(inode: number): FileId {
    let id = this.#ids.get(inode)
    if (id === undefined) this.#ids.set(inode, (id = Symbol()))
    return id
  }

  #keepTree(folder: string): void {
    this.#keepNames(folder)
    for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
      const file = path.join(folder, entry.name)
      if (entry.isDirectory()) this.#keepTree(file)
      else this.#bytes.set(this.#idOf(fs.statSync(file).ino), fs.readFileSync(file))
    }
  }

  #keepNames(folder: string): void {
    const names = fs.readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const { ino } = fs.lstatSync(path.join(folder, entry.name))
      return [entry.name, entry.isDirectory() ? undefined : this.#idOf(ino)] as const
    })
    this.#names.set(folder, new Map(names))
  }

  #salvage(folder: string, target: string, loss: Loss): void {
    fs.mkdirSync(target, { recursive: true })
    if (loss === 'named') this.#keepNames(folder)
    for (const [name, id] of this.#names.get(folder) ?? []) {
      if (id === undefined) this.#salvage(path.join(folder, name), path.join(target, name), loss)
      else fs.writeFileSync(path.join(target, name), this.#bytes.get(id) ?? '', { mode: 0o600 })
    }
  }
}

function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size)
  let at = 0
  for (let count = 1; at < size && count > 0; at += count) count = fs.readSync(fd, bytes, at, size - at, at)
  return bytes.subarray(0, at)
}

function isBelow(folder: string, file: unknown): boolean {
  return typeof file === 'string' && (file === folder || file.startsWith(folder + path.sep))
}

function diskOf(...files: unknown[]): CrashDisk | undefined {
  for (const disk of disks) if (files.some((file) => isBelow(disk.folder, file))) return disk
  return undefined
}

/** Returns the first half of the data of a write, in the same form. */
function halfOf(data: unknown): unknown {
  if (typeof data === 'string') return data.slice(0, data.length >> 1)
  if (Array.isArray(data)) {
    const all = Buffer.concat(data as Uint8Array[])
    return [all.subarray(0, all.length >> 1)]
  }
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength >> 1)
    : undefined
}

// ---- the calls of node:fs ----

const original: { readonly promises: Calls; readonly handle: Calls } = { promises: { ...calls }, handle: {} }

function creates(flags: unknown): boolean {
  const { O_CREAT, O_TRUNC } = constants
  return typeof flags === 'number' ? (flags & (O_CREAT | O_TRUNC)) !== 0 : /^[wa]/.test(String(flags ?? 'r'))
}

function named(name: string, file: unknown, disk: CrashDisk): string {
  return `${name} ${path.relative(disk.folder, String(file)) || '.'}`
}

function replaceCall(name: string, isChange: boolean): void {
  const real = original.promises[name]
  if (real === undefined) return
  calls[name] = async (...args) => {
    const disk = diskOf(args[0], args[1])
    const run = (): Promise<unknown> => real.apply(promises, args)
    if (disk === undefined) return run()
    const half = writing.includes(name)
      ? () => real.call(promises, args[0], halfOf(args[1]) ?? args[1], args[2])
      : undefined
    return disk.call(named(name, args[0], disk), isChange, run, half)
  }
}

function replaceOpen(): void {
  const real = original.promises['open']
  if (real === undefined) return
  calls['open'] = async (...args) => {
    const [file, flags] = args
    const disk = diskOf(file)
    if (disk === undefined) return real.apply(promises, args)
    const isNew = creates(flags) && !fs.existsSync(String(file))
    return disk.call(named(isNew ? 'create' : 'open', file, disk), creates(flags), async () => {
      const handle = (await real.apply(promises, args)) as FileHandle
      paths.set(handle, String(file))
      replaceHandleCalls(handle)
      // `close` is a property of the handle, not a method of its class.
      const close = handle.close.bind(handle)
      handles.set(handle, close)
      const closeIt = (): Promise<unknown> => {
        handles.delete(handle)
        return close()
      }
      handle.close = () => disk.call('close', false, closeIt) as Promise<void>
      if (isNew) disk.made(fs.fstatSync(handle.fd).ino)
      return handle
    })
  }
}

function replaceHandleCall(prototype: Calls, name: string, isChange: boolean): void {
  const real = prototype[name]
  if (real === undefined) return
  original.handle[name] = real
  prototype[name] = async function (this: unknown, ...args) {
    const handle = this as FileHandle
    const disk = diskOf(paths.get(handle))
    const syncs = name === 'sync' || name === 'datasync'
    // Power does not fail here, and syncs take most of a test's time.
    if (disk === undefined) return syncs ? undefined : real.apply(handle, args)
    const half = handleWriting.includes(name)
      ? () => real.call(handle, halfOf(args[0]), ...args.slice(1))
      : undefined
    return disk.call(
      named(name, paths.get(handle), disk),
      isChange,
      async () => {
        if (!syncs) return real.apply(handle, args)
        disk.synced(handle)
        return undefined
      },
      half
    )
  }
}

/** Replaces methods of FileHandle. The class is reachable only through an instance. */
function replaceHandleCalls(handle: FileHandle): void {
  if ('sync' in original.handle) return
  const prototype = Object.getPrototypeOf(handle) as Calls
  for (const name of [...handleWriting, ...handleChanging]) replaceHandleCall(prototype, name, true)
  for (const name of handleReading) replaceHandleCall(prototype, name, false)
}

for (const name of [...changing, ...writing]) replaceCall(name, true)
for (const name of reading) replaceCall(name, false)
replaceOpen()
syncBuiltinESMExports()
