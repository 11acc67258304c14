import type { AnnounceParameters } from '../../lib/tracker/request.ts'
import { regularAnnounce } from '../support/announce-parameters.ts'

/** An info hash. */
export const hash: string = 'ab'.repeat(20)

/** An announce, and what a service that is no tracker would be asked. */
export const odd: { readonly parameters: AnnounceParameters; readonly path: string } = {
  parameters: regularAnnounce,
  path: '/apply.cgi?action=reboot'
}
