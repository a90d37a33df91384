/** State that a module keeps for all who import it, as it stands in the code. Statements of a module begin in the first column (`biome format`). */

/** What changes a value in place: a method that does, or an assignment to one of its parts. */
const changes = (name: string): RegExp =>
  new RegExp(
    `(?<![\\w$.])${name.replaceAll("$", "\\$")}(?:` +
      String.raw`\??\.(?:set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill|copyWithin|run|enterWith|exit|disable)\(` +
      String.raw`|(?:\??\.[\w$]+|\[[^\]]*\])+\s*(?:(?:[-+*/%&|^]|\*\*|<<|>>>?|&&|\|\||\?\?)?=(?![=>])|\+\+|--)` +
      ")" +
      String.raw`|(?:\bdelete\s+|\+\+|--)${name.replaceAll("$", "\\$")}[.[]` +
      String.raw`|\bObject\.(?:assign|defineProperty|defineProperties|setPrototypeOf)\(\s*${name.replaceAll("$", "\\$")}\b`,
  );

const constants = /^(export\s+)?const\s+([\w$]+)/gm;
const variables = /^(?:export\s+)?(?:let|var)\s+(?:([\w$]+)|[{[])/gm;
/** A field of a class itself, which changes or can: methods, accessors and constants are none. */
const ofClasses =
  /^\s+(?:(?:private|protected|public)\s+)?static\s+(?!readonly\b|async\b|get\b|set\b|\{)(#?[\w$]+)\s*[?!]?\s*[:=;]/gm;
const ofAll = /(?<![\w$.])(?:globalThis|global)(?:\.([\w$]+)|\[[^\]]*\])\s*(?:[-+*/%&|^?]{0,2})=(?![=>])/g;

export interface ModuleConstant {
  readonly name: string;
  readonly exported: boolean;
}

export const findConstants = (code: string): readonly ModuleConstant[] =>
  [...code.matchAll(constants)].map(([, exported, name = ""]) => ({ name, exported: exported !== undefined }));

/** Names of what can change: variables, fields of classes, properties of the global object. */
export const findVariables = (code: string): readonly string[] =>
  [variables, ofClasses, ofAll].flatMap((form) => [...code.matchAll(form)].map(([, name = "(a pattern)"]) => name));

export const isChanged = (code: string, name: string): boolean => changes(name).test(code);
