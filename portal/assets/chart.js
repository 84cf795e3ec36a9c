// What vnodes use, over time: drawn of the same figures that `docklet vnode stats` prints.

import uPlot from "uplot";

const section = document.getElementById("usage");
const plotPlace = document.getElementById("usage-plot");
const remark = document.getElementById("usage-remark");
const table = document.getElementById("usage-table");
const choice = (name) => document.getElementById(`usage-${name}`);
const dark = matchMedia("(prefers-color-scheme: dark)");

const HEIGHT = 240;
const KIB = 1024;

// Steps between two marks of an axis of whole things, and of bytes: those of others would be 488 KiB.
const WHOLE = [1, 2, 5].flatMap((step) => [...Array(7).keys()].map((place) => step * 10 ** place)).sort((one, other) => one - other);
const BINARY = [...Array(50).keys()].map((place) => 2 ** place);

// One measure a line; `unit` writes a value of the axis, which reaches to `least` at least: where nothing is used, too.
const CHARTS = {
  cpu: { axis: "cores", unit: cores, lines: [["cpu_milli", "CPU"], ["cpu_milli_max", "highest second"]] },
  memory: { axis: "memory", steps: BINARY, unit: bytes, lines: [["memory_bytes", "memory"], ["memory_bytes_max", "highest second"]] },
  network: { axis: "per second", steps: BINARY, unit: rate, lines: [["received_bytes", "received"], ["sent_bytes", "sent"]] },
  space: { axis: "on disks", steps: BINARY, unit: bytes, lines: [["disk_bytes", "in use"]] },
  disk: { axis: "per second", steps: BINARY, unit: rate, lines: [["read_bytes", "read"], ["written_bytes", "written"]] },
  waiting: { axis: "of the time", least: 0.01, unit: percent, lines: [["cpu_stall", "for CPU"], ["memory_stall", "for memory"], ["io_stall", "for disks"], ["throttled", "held by the CPU limit"]] },
  gpu: { axis: "busy", least: 0.01, unit: percent, lines: [["gpu", "of GPUs, 100 % for each"]] },
  "gpu-memory": { axis: "memory", steps: BINARY, unit: bytes, lines: [["gpu_memory_bytes", "on GPUs"]] },
  processes: { axis: "processes", steps: WHOLE, unit: (value) => String(Math.round(value)), lines: [["processes", "processes"]] },
};
// Told apart without colour too: by the dash.
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
// How uPlot writes times: from so many seconds between two marks on this; and in whole where the day, the year or the
// first mark begins. Then, on that mark alone, the day below. In figures that nobody takes for another country's.
const DAY = "\n{YYYY}-{MM}-{DD}";
const TIMES = [
  [3600 * 24 * 28, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [3600 * 24, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
];
// How often it is asked anew, in seconds.
const REFRESH_S = { "10m": 2, "4h": 10, "1d": 60, "7d": 300, "31d": 300, "1y": 600 };

function cores(milli) {
  return `${+(milli / 1000).toPrecision(3)}`;
}

function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= KIB && unit + 1 < units.length) {
    value /= KIB;
    unit += 1;
  }
  return `${+value.toPrecision(3)} ${units[unit]}`;
}

function rate(value) {
  return `${bytes(value)}/s`;
}

function percent(part) {
  return `${+(part * 100).toPrecision(3)} %`;
}

let plot = null;
let drawn = "";
let asked = 0;
let timer = 0;
// Whether the chart is where the reader looks.
let inSight = true;

function colours() {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(name).trim();
  return { ink: named("--muted"), grid: named("--line"), lines: ["--accent", "--warn", "--danger", "--good"].map(named) };
}

function options(chart) {
  const { ink, grid, lines } = colours();
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  return {
    width: plotPlace.clientWidth,
    height: HEIGHT,
    // Room for the half of the last time.
    padding: [12, 26, 0, 0],
    scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, chart.least ?? 1) * 1.08] } },
    axes: [{ ...axis, values: TIMES }, { ...axis, label: chart.axis, ...(chart.steps && { incrs: chart.steps }), labelSize: 20, size: 76, values: (_, marks) => marks.map(chart.unit) }],
    series: [
      { label: "Time", value: "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" },
      ...chart.lines.map(([, label], place) => ({
        label,
        stroke: lines[place],
        width: 2,
        dash: DASHES[place],
        spanGaps: false,
        points: { show: false },
        value: (_, value) => (value == null ? "—" : chart.unit(value)),
      })),
    ],
  };
}

function path(measures) {
  const part = choice("of")?.value;
  const { history, historyEach } = section.dataset;
  const of = part ? historyEach.replace("{}", encodeURIComponent(part)) : history;
  return `${of}?span=${choice("span").value}&measures=${measures}`;
}

// The picture in words, for who does not see it: what each line was last, and between what.
function inWords(chart, data) {
  const chosen = (name) => choice(name).selectedOptions[0].textContent;
  const lines = chart.lines.map(([, label], place) => {
    const known = data[place + 1].filter((value) => value != null);
    if (!known.length) return `${label} not measured`;
    const least = known.reduce((one, other) => Math.min(one, other));
    const most = known.reduce((one, other) => Math.max(one, other));
    return `${label} ${chart.unit(known.at(-1))} last, from ${chart.unit(least)} to ${chart.unit(most)}`;
  });
  const of = choice("of") ? ` of ${chosen("of")}` : "";
  return `${chosen("what")}${of} in the last ${chosen("span")}, in ${chart.axis}: ${lines.join("; ")}. The table says the same.`;
}

function tableFits() {
  const query = new URLSearchParams({ span: choice("span").value });
  if (choice("of")?.value) query.set("of", choice("of").value);
  table.search = query;
}

async function draw() {
  clearTimeout(timer);
  if (!document.body.contains(plotPlace)) return;
  const turn = ++asked;
  const what = choice("what").value;
  const chart = CHARTS[what];
  const refresh = REFRESH_S[choice("span").value];
  tableFits();
  try {
    const answer = await fetch(path(chart.lines.map(([name]) => name)), { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
    const { times, columns, unanswered } = await answer.json();
    if (turn !== asked) return;
    const data = [times, ...chart.lines.map(([name]) => columns[name] ?? times.map(() => null))];
    if (plot && drawn === what) plot.setData(data);
    else {
      plot?.destroy();
      plot = new uPlot(options(chart), data, plotPlace);
      drawn = what;
    }
    plotPlace.setAttribute("aria-label", inWords(chart, data));
    const nothing = data.slice(1).every((column) => column.every((value) => value == null));
    remark.textContent = unanswered.length
      ? `Not answering, and so missing here: ${unanswered.join(", ")}.`
      : nothing ? "Nothing was measured in this time yet." : "";
  } catch (error) {
    if (turn === asked) remark.textContent = `The figures did not come (${error.message}); trying again.`;
  }
  if (turn === asked && !document.hidden && inSight) timer = setTimeout(draw, refresh * 1000);
}

function anew() {
  plot?.destroy();
  plot = null;
  draw();
}

document.getElementById("usage-controls").hidden = false;
for (const name of ["what", "of", "span"]) choice(name)?.addEventListener("change", draw);
dark.addEventListener("change", anew);
document.addEventListener("visibilitychange", () => !document.hidden && draw());
new IntersectionObserver((entries) => {
  const before = inSight;
  inSight = entries.at(-1).isIntersecting;
  if (inSight && !before) draw();
}).observe(plotPlace);
new ResizeObserver(() => plot?.setSize({ width: plotPlace.clientWidth, height: HEIGHT })).observe(plotPlace);
draw();
