// SPDX-License-Identifier: MIT OR Apache-2.0
/**
 * The page's elements, touched only where something has changed, so that what somebody has selected stays selected. Whatever is
 * shown is text: names come from configurations and networks, and MUST never be read as markup.
 *
 * @module
 */

/** An element that index.html has. */
export function at(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`expected an element #${id}, got none`);
  return found;
}

export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element: HTMLElement, visible: boolean): void {
  if (element.hidden === visible) element.hidden = !visible;
}

export function made<K extends keyof HTMLElementTagNameMap>(tag: K, name = "", children: readonly (Node | string)[] = []): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/** One column: what its cells are made of once, and what is put into them each time. */
export interface Column<T> {
  /** "th" for the cell that names its row. */
  readonly tag?: "td" | "th";
  readonly name?: string;
  /** On narrow screens, where columns have no heads. */
  readonly label?: string;
  readonly fill: (cell: HTMLTableCellElement, item: T) => void;
}

export interface TableOptions<T> {
  readonly columns: readonly Column<T>[];
  /** What a row is recognised by. */
  readonly keyOf: (item: T) => string;
  /** Classes of the row. */
  readonly nameOf?: (item: T) => string;
}

/** A table's rows, kept from one time to the next. */
export class Rows<T> {
  readonly #body: HTMLTableSectionElement;
  readonly #options: TableOptions<T>;
  #rows = new Map<string, HTMLTableRowElement>();

  constructor(table: HTMLElement, options: TableOptions<T>) {
    this.#body = table.querySelector("tbody")!;
    this.#options = options;
  }

  show(items: readonly T[]): void {
    const { keyOf, nameOf } = this.#options;
    const rows = new Map(items.map((item) => [keyOf(item), this.#rows.get(keyOf(item)) ?? this.#made()]));
    const wanted = [...rows.values()];
    if (wanted.length !== this.#body.rows.length || wanted.some((row, index) => this.#body.rows[index] !== row)) this.#body.replaceChildren(...wanted);
    this.#rows = rows;
    for (const item of items) {
      const row = rows.get(keyOf(item))!;
      if (nameOf && row.className !== nameOf(item)) row.className = nameOf(item);
      this.#options.columns.forEach(({ fill }, index) => fill(row.cells[index]!, item));
    }
  }

  #made(): HTMLTableRowElement {
    const cells = this.#options.columns.map(({ tag = "td", name, label }) => {
      const cell = made(tag, name);
      if (tag === "th") cell.scope = "row";
      if (label !== undefined) cell.dataset["name"] = label;
      return cell;
    });
    return made("tr", "", cells);
  }
}

/** The parts of a cell, made the first time. */
export function partsOf<P extends readonly Node[] | []>(cell: HTMLElement, make: () => P): P {
  if (!cell.firstChild) cell.append(...make());
  return [...cell.childNodes] as unknown as P;
}
