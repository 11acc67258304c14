import { TorrentError } from '../util/errors.ts'
import { redactUrl, withoutSecrets } from '../util/redact.ts'

/**
 * The error of an exchange with the tracker of this URL, with the tracker's name in front. What of the URL may be secret is in neither
 * message nor details, also when the tracker has sent it back.
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
