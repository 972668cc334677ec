export interface Bar {
  readonly title: string;
  /** More than 0. */
  readonly value: number;
  readonly isSubject: boolean;
}

const WIDTH = 760;
const LABELS = 220;
const VALUES = 80;
const TOP = 64;
const ROW = 30;
const BAR = 18;
const BOTTOM = 34;

/** Currentcolor alone would not do: an SVG in an <img> does not see the page's colours. */
const STYLE = `text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600; font-size: 15px }
.small { font-size: 11px; fill: #57606a } .peer { fill: #8c959f } .subject { fill: #0969da } .grid { stroke: #d0d7de }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #8d96a0 } .peer { fill: #6e7681 }
.subject { fill: #58a6ff } .grid { stroke: #30363d } }`;

/** Bars in the order of their values, on a logarithmic scale with a line at each power of ten. */
export function drawBars(title: string, bars: readonly Bar[], note: string): string {
  const sorted = [...bars].sort((a, b) => a.value - b.value);
  const first = Math.floor(Math.log10(sorted[0]?.value ?? 1));
  const last = Math.max(first + 1, Math.ceil(Math.log10(sorted.at(-1)?.value ?? 1)));
  const scale = (WIDTH - LABELS - VALUES) / (last - first);
  const lengthOf = (value: number) => Math.max(2, Math.round((Math.log10(value) - first) * scale));
  const height = TOP + sorted.length * ROW + BOTTOM;
  const powers = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeXml(title)}">
<style>${STYLE}</style>
<text class="title" x="8" y="22">${escapeXml(title)}</text>
${powers.map((power) => drawPower(power, LABELS + (power - first) * scale, height)).join("\n")}
${sorted.map((bar, i) => drawBar(bar, TOP + i * ROW, lengthOf(bar.value))).join("\n")}
<text class="small" x="8" y="${height - 10}">${escapeXml(note.split(";")[0] ?? "")}; logarithmic scale</text>
</svg>
`;
}

function drawPower(power: number, x: number, height: number): string {
  const label = power < 0 ? (10 ** power).toFixed(-power) : (10 ** power).toLocaleString("en");
  return `<line class="grid" x1="${x}" x2="${x}" y1="${TOP - 10}" y2="${height - BOTTOM + 4}"/>
<text class="small" text-anchor="middle" x="${x}" y="${TOP - 16}">${label}</text>`;
}

function drawBar({ title, value, isSubject }: Bar, y: number, length: number): string {
  const text = value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(2);
  return `<text text-anchor="end" x="${LABELS - 8}" y="${y + 14}">${escapeXml(title)}</text>
<rect class="${isSubject ? "subject" : "peer"}" x="${LABELS}" y="${y}" width="${length}" height="${BAR}" rx="2"/>
<text x="${LABELS + length + 6}" y="${y + 14}">${text}</text>`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
