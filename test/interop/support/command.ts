// The piecewise command, as a user runs it.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The compiled command. */
export const commandPath: string = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url))

/** Flags of Node that keep the command out of the local network. */
export const withoutNetwork: readonly string[] = [
  '--import',
  new URL('../../support/no-network.js', import.meta.url).href
]

/** The outcome of a run of the command. */
export interface CommandOutcome {
  /** Exit code, or -1 when a signal ended it. */
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** Lines of standard error. */
  readonly complaints: readonly string[]
}

/** The environment of a run. */
export interface CommandOptions {
  /** The state folder of the command. */
  readonly stateFolder: string
  /** Put before the command, such as one that drops capabilities. */
  readonly under?: readonly string[]
  readonly timeoutMs?: number
  readonly cwd?: string
}

/** Runs the command to its end. */
export async function piecewiseCommand(
  args: readonly string[],
  options: CommandOptions
): Promise<CommandOutcome> {
  const [program = '', ...rest] = [
    ...(options.under ?? []),
    process.execPath,
    ...withoutNetwork,
    commandPath,
    ...args
  ]
  const child = spawn(program, rest, {
    env: { ...process.env, XDG_STATE_HOME: options.stateFolder },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL'
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const status = await new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? -1))
  })
  const complaints = stderr.split('\n').filter((line) => line.trim() !== '')
  return { status, stdout, stderr, complaints }
}
