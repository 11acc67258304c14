import type { AnnounceParameters } from '../../lib/tracker/request.ts'
import { regularAnnounce } from '../support/announce-parameters.ts'

/** An info hash. */
export const hash: string = 'ab'.repeat(20)

/** An announce, and a path on which a service other than a tracker would act. */
export const odd: { readonly parameters: AnnounceParameters; readonly path: string } = {
  parameters: regularAnnounce,
  path: '/apply.cgi?action=reboot'
}
