import { readText } from './readme.ts'

/** The options of a type as its source documents them: name → text of `@default`, empty where the comment has none. Nested ones as `outer.inner`. */
export function documentedOptions(path: string, typeName: string): Map<string, string> {
  const source = readText(path)
  const body = new RegExp(`^export type ${typeName} = \\{\\n([\\s\\S]*?)^\\}$`, 'm').exec(source)?.[1]
  if (body === undefined) throw new Error(`${path} has no type ${typeName}`)
  const options = new Map<string, string>()
  for (const [, comment = '', name = '', type = ''] of body.matchAll(/(?:\/\*\*([\s\S]*?)\*\/\s*)?^ {2}readonly (\w+)\??: (.*)$/gm)) {
    const fallback = /@default (.*?)\s*$/.exec(comment)?.[1] ?? ''
    const inline = /^\{ readonly (\w+)\??: \w+ \}$/.exec(type)?.[1]
    if (inline !== undefined) options.set(`${name}.${inline}`, fallback)
    else if (/^\w+Options$/.test(type)) for (const [inner, own] of documentedOptions(path, type)) options.set(`${name}.${inner}`, own)
    else options.set(name, fallback)
  }
  return options
}
