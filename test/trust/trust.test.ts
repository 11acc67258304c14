import { addressCells } from './addresses.ts'
import { effectCells } from './effects.ts'
import { checkTable } from './table.ts'
import { urlCells } from './urls.ts'

addressCells()
urlCells()
effectCells()
checkTable()
