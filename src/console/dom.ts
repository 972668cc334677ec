/** @throws Error when the page has no such element: it and the script are of one build */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`the page has no #${id}`);
  return element;
}

/** The element inside `parent` that is marked as this part of it. */
export function partOf(parent: HTMLElement, name: string): HTMLElement {
  const element = parent.querySelector(`[data-part="${name}"]`);
  if (!(element instanceof HTMLElement)) throw new Error(`the page has no part ${name}`);
  return element;
}

/** Sets what an element says, and leaves it alone when it says that already: screen readers tell of every change. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export interface Look {
  readonly class?: string;
  readonly tone?: Tone | undefined;
  readonly title?: string;
}

export type Tone = "good" | "warn" | "bad";

/** Never parses markup: what the gateway tells stays text. */
export function make(tag: string, text: string, look: Look = {}): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  if (look.class !== undefined) element.className = look.class;
  if (look.tone !== undefined) element.dataset.tone = look.tone;
  if (look.title !== undefined) element.title = look.title;
  return element;
}

export function tone(element: HTMLElement, value: Tone | undefined): void {
  if (value === undefined) delete element.dataset.tone;
  else element.dataset.tone = value;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag: string, attributes: Readonly<Record<string, string | number>>, text?: string): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}
