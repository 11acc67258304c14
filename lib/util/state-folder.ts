import { homedir } from 'node:os'
import path from 'node:path'

/** Inputs that determine the path of the state folder. */
export interface Surroundings {
  readonly platform: NodeJS.Platform
  readonly env: Readonly<Record<string, string | undefined>>
  /** Home folder of the user. */
  readonly home: string
}

/** Returns the folder for saved state, by the conventions of the platform. */
export function stateFolder({ platform, env, home }: Surroundings): string {
  const join = platform === 'win32' ? path.win32.join : path.posix.join
  if (platform === 'win32') return join(env['LOCALAPPDATA'] ?? join(home, 'AppData', 'Local'), 'piecewise')
  const xdg = env['XDG_STATE_HOME']
  // The XDG specification requires relative paths to be ignored.
  if (xdg !== undefined && path.posix.isAbsolute(xdg)) return join(xdg, 'piecewise')
  if (platform === 'darwin') return join(home, 'Library', 'Application Support', 'piecewise')
  return join(home, '.local', 'state', 'piecewise')
}

/** Returns {@link stateFolder} of the current user; undefined if the user has no home folder. */
export function userStateFolder(): string | undefined {
  const { platform, env } = process
  try {
    const folder = stateFolder({ platform, env, home: homedir() })
    return path.isAbsolute(folder) ? folder : undefined
  } catch {
    return undefined
  }
}
