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

// One measure a line; `unit` writes a value of the axis.
const CHARTS = {
  cpu: { unit: cores, lines: [["cpu_milli", "CPU"], ["cpu_milli_max", "highest second"]] },
  memory: { unit: bytes, lines: [["memory_bytes", "memory"], ["memory_bytes_max", "highest second"]] },
  network: { unit: rate, lines: [["received_bytes", "received"], ["sent_bytes", "sent"]] },
  disk: { unit: rate, lines: [["read_bytes", "read"], ["written_bytes", "written"]] },
  waiting: { unit: percent, lines: [["cpu_stall", "for CPU"], ["memory_stall", "for memory"], ["io_stall", "for disks"], ["throttled", "held by the CPU limit"]] },
  gpu: { unit: percent, lines: [["gpu", "of GPUs, 100 % for each"]] },
  "gpu-memory": { unit: bytes, lines: [["gpu_memory_bytes", "on GPUs"]] },
  processes: { unit: (value) => String(Math.round(value)), lines: [["processes", "processes"]] },
};
// Told apart without colour too: by the dash.
const DASHES = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
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
    scales: { y: { range: (_, low, high) => [0, Math.max(high ?? 0, 1e-9) * 1.08] } },
    axes: [axis, { ...axis, size: 84, values: (_, marks) => marks.map(chart.unit) }],
    series: [
      {},
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
  const name = encodeURIComponent(section.dataset.chart);
  const vnode = choice("of").value;
  const of = vnode ? `/vnodes/${encodeURIComponent(vnode)}` : "";
  return `/api/v1/vclusters/${name}${of}/history?span=${choice("span").value}&measures=${measures}`;
}

function tableFits() {
  const query = new URLSearchParams({ span: choice("span").value });
  if (choice("of").value) query.set("of", choice("of").value);
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
    const nothing = data.slice(1).every((column) => column.every((value) => value == null));
    remark.textContent = unanswered.length
      ? `Not answering, and so missing here: ${unanswered.join(", ")}.`
      : nothing ? "Nothing was measured in this time yet." : "";
  } catch (error) {
    if (turn === asked) remark.textContent = `The figures did not come (${error.message}); trying again.`;
  }
  if (turn === asked && !document.hidden) timer = setTimeout(draw, refresh * 1000);
}

function anew() {
  plot?.destroy();
  plot = null;
  draw();
}

document.getElementById("usage-controls").hidden = false;
for (const name of ["what", "of", "span"]) choice(name).addEventListener("change", draw);
dark.addEventListener("change", anew);
document.addEventListener("visibilitychange", () => !document.hidden && draw());
new ResizeObserver(() => plot?.setSize({ width: plotPlace.clientWidth, height: HEIGHT })).observe(plotPlace);
draw();
