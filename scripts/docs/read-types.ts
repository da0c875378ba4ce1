import { join } from 'node:path'
import {
  API,
  type Checker,
  type Project,
  SignatureKind,
  SymbolFlags,
  type Symbol as TsSymbol,
  type Type,
  TypeFlags,
} from 'typescript/unstable/sync'

const ROOT = join(import.meta.dirname, '..', '..')

/** An option as its type declares it. */
export type TypedOption = {
  /** Names from the outside in: `['limits', 'minTasks']`. */
  readonly path: readonly string[]
  readonly type: string
  /** The prose of its comment. */
  readonly prose: string
  /** What follows `@default`; empty where the comment has none. */
  readonly fallback: string
  /** Whether every form of the options must have it, some, or none. */
  readonly presence: 'required' | 'of a form' | 'optional'
  /** Whether it is only there to hold the options that follow. */
  readonly isGroup: boolean
}

/** Something that takes options: a function, a class, or a method. */
export type TakesOptions = {
  /** As one calls it: `kafkaSource(options)`, `job.start(options)`. */
  readonly call: string
  readonly name: string
  readonly kind: 'function' | 'class' | 'method'
  /** The first paragraph of its comment. */
  readonly prose: string
  /** What must be there, form by form; one where there is no choice. */
  readonly forms: readonly (readonly string[])[]
  readonly options: readonly TypedOption[]
  /** How many arguments stand in front of the options. */
  readonly at: number
}

/** Parameters of these names are options. */
const OPTION_PARAMETERS = ['options', 'input']
/** One that is taken apart where it is declared: options where nothing of it must be there. */
const TAKEN_APART = '__0'

/** Reads what takes options, by the compiler's own knowledge of the types. */
export class TypeReader {
  readonly #api = new API({ cwd: ROOT })
  readonly #project: Project
  readonly #checker: Checker

  constructor() {
    const [project] = this.#api.updateSnapshot({ openProject: join(ROOT, 'tsconfig.json') }).getProjects()
    if (project === undefined) throw new Error('The compiler knows no project of tsconfig.json.')
    this.#project = project
    this.#checker = project.checker
  }

  close(): void {
    this.#api.close()
  }

  /** The exported functions and classes of a module that take options, in the order in which it exports them. */
  exportsOf(path: string): TakesOptions[] {
    return this.#exports(path).flatMap(symbol => {
      const kind = symbol.flags & SymbolFlags.Function ? 'function' : symbol.flags & SymbolFlags.Class ? 'class' : undefined
      if (kind === undefined) return []
      // Errors take options too, and nobody makes them.
      if (symbol.name.endsWith('Error')) return []
      const type = this.#checker.getTypeOfSymbol(symbol)
      const signatureKind = kind === 'class' ? SignatureKind.Construct : SignatureKind.Call
      return this.#takesOptions(type, signatureKind, {
        name: symbol.name,
        kind,
        prose: this.#prose(symbol),
        before: kind === 'class' ? 'new ' : '',
      })
    })
  }

  /** The methods of an exported interface that take options, called on something named `on`. */
  methodsOf(path: string, interfaceName: string, on: string): TakesOptions[] {
    const found = this.#exports(path).find(symbol => symbol.name === interfaceName)
    if (found === undefined) throw new Error(`${path} exports no ${interfaceName}`)
    return this.#checker.getPropertiesOfType(this.#checker.getDeclaredTypeOfSymbol(found)).flatMap(symbol => {
      const type = this.#checker.getTypeOfSymbol(symbol)
      return this.#takesOptions(type, SignatureKind.Call, {
        name: symbol.name,
        kind: 'method',
        prose: this.#prose(symbol),
        before: `${on}.`,
      })
    })
  }

  #exports(path: string): TsSymbol[] {
    const file = this.#project.program.getSourceFile(join(ROOT, path))
    const module = file && this.#checker.getSymbolAtLocation(file)
    if (module === undefined) throw new Error(`${path} is no module that the compiler knows`)
    return this.#checker
      .getExportsOfModule(module)
      .map(symbol => (symbol.flags & SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol))
  }

  #takesOptions(
    type: Type | undefined,
    signatureKind: SignatureKind,
    { name, kind, prose, before }: Pick<TakesOptions, 'name' | 'kind' | 'prose'> & { readonly before: string },
  ): TakesOptions[] {
    const [signature] = type === undefined ? [] : this.#checker.getSignaturesOfType(type, signatureKind)
    const parameters = signature?.getParameters() ?? []
    const at = parameters.findIndex(parameter => [...OPTION_PARAMETERS, TAKEN_APART].includes(parameter.name))
    const parameter = parameters[at]
    const given = parameter && this.#checker.getTypeOfSymbol(parameter)
    if (given === undefined) return []
    const forms = this.#objects(given)
    if (forms.length === 0) return []
    const isAnyRequired = forms.some(form => this.#properties(form).some(property => this.#isRequired(property)))
    if (parameter?.name === TAKEN_APART && isAnyRequired) return []
    const shown = parameters.slice(0, at + 1).map(({ name: shownName }) => (shownName === TAKEN_APART ? 'options' : shownName))
    return [
      {
        call: `${before}${name}(${shown.join(', ')})`,
        name,
        kind,
        prose,
        forms: unique(
          forms.map(form =>
            this.#properties(form)
              .filter(property => this.#isRequired(property))
              .map(property => property.name),
          ),
        ),
        options: this.#optionsOf(forms, []),
        at,
      },
    ]
  }

  #optionsOf(forms: readonly Type[], outer: readonly string[]): TypedOption[] {
    const byName = Map.groupBy(
      forms.flatMap(form => this.#properties(form)),
      property => property.name,
    )
    return [...byName].flatMap(([name, properties]) => {
      const [property] = properties
      const type = property && this.#checker.getTypeOfSymbol(property)
      if (property === undefined || type === undefined) return []
      const path = [...outer, name]
      const inside = this.#inside(type)
      const inner = inside === undefined ? [] : this.#optionsOf([inside], path)
      const required = properties.filter(one => this.#isRequired(one)).length
      const option: TypedOption = {
        path,
        type: this.#show(type),
        prose: this.#prose(property),
        fallback:
          this.#checker
            .getJsDocTagsOfSymbol(property)
            .find(tag => tag.name === 'default')
            ?.text?.trim() ?? '',
        presence: required === 0 ? 'optional' : required === forms.length ? 'required' : 'of a form',
        isGroup: inner.length > 0 && !isUnionOfMore(type),
      }
      return [option, ...inner]
    })
  }

  /** Those that may be given: not the ones that are declared to be left out. */
  #properties(form: Type): TsSymbol[] {
    return this.#checker.getPropertiesOfType(form).filter(property => {
      const type = this.#checker.getTypeOfSymbol(property)
      return type !== undefined && withoutUndefined(type).some(one => !(one.flags & TypeFlags.Never))
    })
  }

  #isRequired(property: TsSymbol): boolean {
    return !(property.flags & SymbolFlags.Optional)
  }

  /** The members of a union that are plain objects. */
  #objects(type: Type): Type[] {
    return withoutUndefined(type).filter(one => one.flags & (TypeFlags.Object | TypeFlags.Intersection) && !this.#isCallable(one))
  }

  /** The object whose members are options too: a literal type of ours, alone or the only one of a union. */
  #inside(type: Type): Type | undefined {
    const objects = this.#objects(type)
    const [inside] = objects
    if (objects.length !== 1 || inside === undefined || this.#checker.isArrayLikeType(inside)) return undefined
    const isLiteral = (inside.getSymbol()?.flags ?? 0) & SymbolFlags.TypeLiteral
    if (!isLiteral || this.#checker.getIndexInfosOfType(inside).length > 0) return undefined
    const properties = this.#properties(inside)
    // What has only methods is a client or a logger.
    const isMade = properties.every(property => !(property.flags & SymbolFlags.Method))
    return isMade && properties.length > 0 ? inside : undefined
  }

  #isCallable(type: Type): boolean {
    return this.#checker.getSignaturesOfType(type, SignatureKind.Call).length > 0
  }

  #show(type: Type): string {
    const parts = withoutUndefined(type)
    // Names of unions of texts say less than the texts.
    const isChoice = parts.length > 1 && parts.every(part => part.flags & TypeFlags.StringLiteral)
    const text = isChoice ? parts.map(part => this.#checker.typeToString(part)).join(' | ') : this.#checker.typeToString(type, undefined, 1)
    return text
      .replace(/ \| undefined$/, '')
      .replace(/^undefined \| /, '')
      .replace(/\breadonly /g, '')
      .replace(/"([^"']*)"/g, "'$1'")
      .replace(/^\((.*)\)$/s, (whole, inner: string) => (inner.startsWith('(') ? inner : whole))
      .replace(/^false \| true$/, 'boolean')
      .replace(/\s+/g, ' ')
  }

  #prose(symbol: TsSymbol): string {
    const [paragraph = ''] = this.#checker.getDocumentationCommentOfSymbol(symbol).split(/\n\s*\n/)
    return paragraph
      .replace(/\{@link ([^}|]+)[^}]*\}/g, '`$1`')
      .replace(/\s+/g, ' ')
      .trim()
  }
}

function withoutUndefined(type: Type): Type[] {
  const parts = type.isUnionType() ? (type.getTypes() ?? []) : [type]
  return parts.filter(part => !(part.flags & TypeFlags.Undefined))
}

function isUnionOfMore(type: Type): boolean {
  return withoutUndefined(type).length > 1
}

function unique(forms: readonly (readonly string[])[]): (readonly string[])[] {
  return [...new Map(forms.map(form => [form.join(), form])).values()]
}
