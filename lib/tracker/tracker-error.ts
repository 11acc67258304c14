import { TorrentError } from '../util/errors.ts'
import { redactUrl, withoutSecrets } from '../util/redact.ts'

/**
 * Returns an error prefixed with the tracker's name. Masks the secret parts of the URL in message and
 * details, even if the tracker sent them back.
 */
export function ofTracker(url: URL, name: string, error: TorrentError): TorrentError {
  const { code, message, cause, details } = error
  const { reason } = details
  return new TorrentError(code, `${name}: ${withoutSecrets(message, url)}`, {
    cause,
    details: {
      ...details,
      ...(typeof reason === 'string' ? { reason: withoutSecrets(reason, url) } : {}),
      url: redactUrl(url)
    }
  })
}
