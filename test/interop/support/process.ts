// Other programs, started for one test: their logs are kept, and they are always ended by the process id that
// was started.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'

/** The place where a program runs: on this machine's loopback, or inside a network namespace of its own. */
export interface Place {
  /** The address under which the other side reaches it. */
  readonly host: string
  /** Put before every command, empty on loopback. */
  readonly enter: readonly string[]
}

/** Options to start a program. */
export interface StartOptions {
  readonly place?: Place
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Called with each line of standard output. */
  readonly onLine?: (line: string) => void
  /** Whether it reads lines written with `tell`. */
  readonly listens?: boolean
}

/** A running program. */
export interface Running {
  readonly name: string
  readonly pid: number
  /** Returns everything printed so far, or the end of it when it is long. */
  log(): string
  /** Resolves with the exit code, or the signal's name. */
  readonly exited: Promise<number | NodeJS.Signals>
  signal(signal: NodeJS.Signals): void
  /** Writes a line to its standard input, if it `listens`. */
  tell(line: string): void
  /** Ends it: SIGTERM first, SIGKILL after two seconds. */
  stop(): Promise<void>
}

const logLimit = 100_000

/** This machine's loopback. */
export const loopback: Place = { host: '127.0.0.1', enter: [] }

/** Returns the path of a program on the PATH, or undefined. */
export function which(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/sbin', '/sbin', '/bin']
  return folders.map((folder) => path.join(folder, program)).find((file) => existsSync(file))
}

// A killed test file must not leave its programs behind, so they ask to die with their parent.
const withParent = which('setpriv') === undefined ? [] : ['setpriv', '--pdeathsig', 'KILL']

/** Starts a program without waiting. */
export function start(name: string, command: readonly string[], options: StartOptions = {}): Running {
  const [program = '', ...args] = [...(options.place?.enter ?? []), ...withParent, ...command]
  const child: ChildProcess = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: [options.listens === true ? 'pipe' : 'ignore', 'pipe', 'pipe']
  })
  let log = ''
  const keep = (text: string) => {
    log += text
    if (log.length > 2 * logLimit) log = `…${log.slice(-logLimit)}`
  }
  // `exited` reports an exit meanwhile.
  child.stdin?.on('error', () => {})
  child.stderr?.setEncoding('utf8').on('data', keep)
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      keep(`${line}\n`)
      options.onLine?.(line)
    })
  }
  const exited = new Promise<number | NodeJS.Signals>((resolve) => {
    child.on('error', (error) => {
      keep(`${error.message}\n`)
      resolve(127)
    })
    // 'close' comes after the last line of output, 'exit' may come before it.
    child.on('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
  return {
    name,
    pid: child.pid ?? -1,
    log: () => log,
    exited,
    signal: (signal) => void child.kill(signal),
    tell: (line) => void child.stdin?.write(`${line}\n`),
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
      await exited
      clearTimeout(timer)
    }
  }
}

/** The result of a program that has ended. */
export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end, blocking the event loop meanwhile; throws when it fails. `input` goes to its
 * standard input.
 */
export function run(command: readonly string[], place: Place = loopback, input?: string): Outcome {
  const outcome = attempt(command, place, input)
  if (outcome.status !== 0) {
    throw new Error(`${command.join(' ')} failed with ${outcome.status}:\n${outcome.stdout}${outcome.stderr}`)
  }
  return outcome
}

/** Runs a program to its end, successful or not. */
export function attempt(command: readonly string[], place: Place = loopback, input?: string): Outcome {
  const [program = '', ...args] = [...place.enter, ...command]
  const result = spawnSync(program, args, {
    ...{ encoding: 'utf8', maxBuffer: 1 << 28, timeout: 60_000 },
    ...(input === undefined ? {} : { input })
  })
  return {
    status: result.status ?? -1,
    stdout: result.stdout ?? '',
    stderr: (result.stderr ?? '') + (result.error ? `${result.error.message}\n` : '')
  }
}

/** The time limit, and the programs whose logs explain a failure. */
interface WaitOptions {
  readonly timeoutMs?: number
  readonly programs?: readonly Running[]
}

/** Awaits a promise for a limited time; on failure the programs' logs are part of the message. */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  { timeoutMs = 60_000, programs = [] }: WaitOptions = {}
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${timeoutMs / 1000} s`)), timeoutMs)
  })
  try {
    return await Promise.race([promise, late])
  } catch (error) {
    throw new Error(`${what} failed: ${error instanceof Error ? error.message : error}\n${logs(programs)}`, {
      cause: error
    })
  } finally {
    clearTimeout(timer)
  }
}

function logs(programs: readonly Running[]): string {
  return programs.map((program) => `--- ${program.name}\n${program.log().slice(-8000)}`).join('\n')
}
