import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The folder of the compiled library next to these programs. */
export const ownLibrary: string = fileURLToPath(new URL('..', import.meta.url))

/** Imports a file of a compiled library, such as `index.js`, from `<library>/lib`. */
export async function importFrom<T>(library: string, file: string): Promise<T> {
  return (await import(pathToFileURL(path.join(path.resolve(library), 'lib', file)).href)) as T
}
