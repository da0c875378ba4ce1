import { expect, test } from 'vitest'
import { StatusLine } from '../../../src/cli/status-line.ts'
import { Screen } from './terminal.ts'

test('what is printed goes above the line, which stays the last', () => {
  const screen = new Screen()
  const line = new StatusLine(screen.asTerminal())
  line.draw('batch 1')
  screen.write('a warning\n')
  line.draw('batch 2')
  screen.write(Buffer.from('two\nlines\n'))
  expect(screen.lines).toEqual(['a warning', 'two', 'lines', 'batch 2'])
})

test('another stream of the same screen is kept apart from the line too', () => {
  const screen = new Screen()
  // Standard output and standard error are two streams of one terminal.
  const output = Object.assign(new Screen(), { _write: screen._write.bind(screen) })
  const line = new StatusLine(screen.asTerminal(), [output.asTerminal()])
  line.draw('batch 1')
  output.write('{"id":1}\n')
  line.draw('batch 2')
  expect(screen.lines).toEqual(['{"id":1}', 'batch 2'])
})

test('a line that somebody has begun is not cut in two', () => {
  const screen = new Screen()
  const line = new StatusLine(screen.asTerminal())
  line.draw('batch 1')
  screen.write('loading … ')
  line.draw('batch 2')
  screen.write('done\n')
  expect(screen.lines).toEqual(['loading … done', 'batch 2'])
})

test('it is cut at the width of the terminal, since one that wraps could not be erased', () => {
  const screen = new Screen({ columns: 11 })
  const line = new StatusLine(screen.asTerminal())
  line.draw('0123456789abcdef')
  expect(screen.lines).toEqual(['0123456789'])
})

test('at its end the last line stays, what follows is below it, and the streams are as they were', () => {
  const screen = new Screen()
  const write = screen.write
  const line = new StatusLine(screen.asTerminal())
  line.draw('batch 1')
  line.end()
  screen.write('summary\n')
  expect(screen.lines).toEqual(['batch 1', 'summary', ''])
  expect(screen.write).toBe(write)
})

test('it can also be taken away', () => {
  const screen = new Screen()
  const line = new StatusLine(screen.asTerminal())
  line.draw('waiting')
  line.end({ erase: true })
  screen.write('summary\n')
  expect(screen.lines).toEqual(['summary', ''])
})
