import { homedir } from 'node:os'
import path from 'node:path'

/** What decides where the state folder lies. */
export interface Surroundings {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  /** The user's home folder. */
  readonly home: string
}

/** The folder in which a user's programs keep what they need to go on after a restart. */
export function stateFolder({ platform, env, home }: Surroundings): string {
  const join = platform === 'win32' ? path.win32.join : path.posix.join
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'piecewise')
  const xdg = env['XDG_STATE_HOME']
  // The XDG specification has relative paths ignored.
  if (xdg !== undefined && path.posix.isAbsolute(xdg)) return join(xdg, 'piecewise')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'piecewise')
  return join(home, '.local', 'state', 'piecewise')
}

/** {@link stateFolder} of the user who runs this process; undefined when the user has no home folder. */
export function userStateFolder(): string | undefined {
  const { platform, env } = process
  try {
    const folder = stateFolder({ platform, env, home: homedir() })
    return path.isAbsolute(folder) ? folder : undefined
  } catch {
    return undefined
  }
}
