import { TorrentError } from '../util/errors.ts'
import { redactText } from '../util/redact.ts'

/** Returns the error for an invalid command line; the command ends with code 2. */
export function usageError(message: string, cause?: unknown): TorrentError {
  return new TorrentError('ERR_CLI_USAGE', redactText(message), cause === undefined ? {} : { cause })
}
