// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * What a source file declares at its top, read without running it: constants of TypeScript and of AssemblyScript alike, and the
 * fields of classes. For comparing what two sides write down that cannot import each other.
 *
 * Knows literals, arrays, objects, shifts, sums and products of them, casts, and other constants of the same file; anything
 * else is an error. Used by tests/mirrors.test.ts.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A number, a text, or a list or table of them. */
export type Value = number | string | readonly Value[] | { readonly [name: string]: Value };

export class Declarations {
  readonly file: string;
  readonly text: string;
  readonly #constants = new Map<string, ts.Expression>();
  readonly #classes = new Map<string, ts.ClassDeclaration>();

  constructor(file: string, text = readFileSync(path.join(ROOT, file), "utf8")) {
    this.file = file;
    this.text = text;
    for (const statement of ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true).statements) {
      if (ts.isClassDeclaration(statement) && statement.name) this.#classes.set(statement.name.text, statement);
      if (!ts.isVariableStatement(statement)) continue;
      for (const { name, initializer } of statement.declarationList.declarations) {
        if (initializer && ts.isIdentifier(name)) this.#constants.set(name.text, initializer);
      }
    }
  }

  /** What a constant is. */
  constant(name: string): Value {
    return this.#value(this.#expression(name));
  }

  /** All numbers whose names begin so, by the rest of their names. */
  enumeration(prefix: string): Record<string, number> {
    const names = [...this.#constants.keys()].filter((name) => name.startsWith(prefix) && /^[A-Z0-9_]+$/.test(name) && this.#isPlain(name));
    if (names.length === 0) throw new Error(`expected numbers named ${prefix}… in ${this.file}, got none`);
    return Object.fromEntries(names.map((name) => [name.slice(prefix.length), this.constant(name) as number]));
  }

  /** The elements of a list as they are written, where they are no literals. */
  elements(name: string): string[] {
    const list = this.#expression(name);
    if (!ts.isArrayLiteralExpression(list)) throw new Error(`expected a list ${name} in ${this.file}, got ${list.getText()}`);
    return list.elements.map((element) => element.getText());
  }

  /** The names of a class' fields, in order. */
  fields(name: string): string[] {
    return this.#members(name).map((member) => member.name.getText());
  }

  /** The numbers in the one place where the text is like `pattern`, whose groups they are. */
  numbersIn(pattern: RegExp): number[] {
    const found = [...this.text.matchAll(new RegExp(pattern, "g"))];
    if (found.length !== 1) throw new Error(`expected one place in ${this.file} like ${String(pattern)}, got ${found.length}`);
    return found[0]!.slice(1).map((digits) => Number(digits.replaceAll("_", "")));
  }

  /** The same file with something else in place of what `name` stands for; of a class, with its first field under another name. */
  altered(name: string): Declarations {
    const node = this.#constants.get(name);
    if (node) return this.#replaced(node, alteredText(node));
    const [first] = this.#members(name);
    return this.#replaced(first!.name, `${first!.name.getText()}Other`);
  }

  /** The same file with another last number where the text is like `pattern`. */
  alteredIn(pattern: RegExp): Declarations {
    const found = pattern.exec(this.text)!;
    const number = found.at(-1)!;
    const at = found.index + found[0].lastIndexOf(number);
    return new Declarations(this.file, `${this.text.slice(0, at)}${Number(number.replaceAll("_", "")) + 1}${this.text.slice(at + number.length)}`);
  }

  #replaced(node: ts.Node, text: string): Declarations {
    return new Declarations(this.file, this.text.slice(0, node.getStart()) + text + this.text.slice(node.end));
  }

  #members(name: string): ts.PropertyDeclaration[] {
    const found = this.#classes.get(name);
    if (!found) throw new Error(`expected a class ${name} in ${this.file}, got none`);
    return found.members.filter(ts.isPropertyDeclaration);
  }

  #expression(name: string): ts.Expression {
    const found = this.#constants.get(name);
    if (!found) throw new Error(`expected a constant ${name} in ${this.file}, got none`);
    return found;
  }

  #isPlain(name: string): boolean {
    try {
      return typeof this.constant(name) === "number";
    } catch {
      return false;
    }
  }

  #value(node: ts.Expression): Value {
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (ts.isBigIntLiteral(node)) return Number(node.text.slice(0, -1));
    if (ts.isStringLiteralLike(node)) return node.text;
    if (ts.isIdentifier(node)) return this.constant(node.text);
    if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isTypeAssertionExpression(node)) return this.#value(node.expression);
    if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.MinusToken) return -Number(this.#value(node.operand));
    if (ts.isBinaryExpression(node)) return operation(node, Number(this.#value(node.left)), Number(this.#value(node.right)));
    if (ts.isArrayLiteralExpression(node)) return node.elements.map((element) => this.#value(element));
    if (ts.isObjectLiteralExpression(node)) return Object.fromEntries(node.properties.map((property) => this.#property(property)));
    // A Map of pairs.
    if (ts.isNewExpression(node) && node.arguments?.length === 1) return this.#value(node.arguments[0]!);
    throw new Error(`expected literals in ${this.file}, got ${node.getText()}`);
  }

  #property(property: ts.ObjectLiteralElementLike): [string, Value] {
    if (!ts.isPropertyAssignment(property)) throw new Error(`expected names and values in ${this.file}, got ${property.getText()}`);
    const { name } = property;
    return [String(ts.isComputedPropertyName(name) ? this.#value(name.expression) : (name as ts.Identifier).text), this.#value(property.initializer)];
  }
}

/** As 64-bit integers would have it, within what a double holds. */
function operation(node: ts.BinaryExpression, left: number, right: number): number {
  switch (node.operatorToken.kind) {
    case ts.SyntaxKind.PlusToken: return left + right;
    case ts.SyntaxKind.MinusToken: return left - right;
    case ts.SyntaxKind.AsteriskToken: return left * right;
    case ts.SyntaxKind.AsteriskAsteriskToken: return left ** right;
    case ts.SyntaxKind.LessThanLessThanToken: return left * 2 ** right;
    case ts.SyntaxKind.BarToken: return left | right;
    default: throw new Error(`expected sums, products, powers or shifts, got ${node.getText()}`);
  }
}

/** Something else of the same kind: another last number; without numbers a list begins elsewhere, and a text is longer. */
function alteredText(node: ts.Expression): string {
  const text = node.getText();
  const numbers = literals(node, (literal) => ts.isNumericLiteral(literal) || ts.isBigIntLiteral(literal));
  const last = numbers.at(-1);
  if (last) return spliced(text, last, node, ts.isBigIntLiteral(last) ? `${BigInt(last.text.slice(0, -1)) + 1n}n` : String(Number((last as ts.NumericLiteral).text) + 1));
  const list = ts.isAsExpression(node) ? node.expression : node;
  if (ts.isArrayLiteralExpression(list)) {
    const [first, ...others] = list.elements.map((element) => element.getText());
    return `[${[...others, first].join(", ")}]`;
  }
  const named = literals(node, ts.isStringLiteral).at(-1);
  return named ? spliced(text, named, node, `"${(named as ts.StringLiteral).text}_OTHER"`) : `${text} + 1`;
}

function spliced(text: string, part: ts.Node, whole: ts.Node, by: string): string {
  const [from, to] = [part.getStart() - whole.getStart(), part.end - whole.getStart()];
  return text.slice(0, from) + by + text.slice(to);
}

function literals(node: ts.Node, wanted: (node: ts.Node) => boolean, found: ts.Node[] = []): ts.Node[] {
  if (wanted(node)) found.push(node);
  node.forEachChild((child) => void literals(child, wanted, found));
  return found;
}
