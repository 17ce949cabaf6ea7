// Draws what has data-chart, with uPlot: latency by phase, stacked, with 95 of 100 as a dashed line. Its figures are also in words.
"use strict";
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const plots = [];

// stacked adds each series to those below it; the last one, which stands alone, is left as it is.
function stacked(values) {
  const out = [values[0]];
  let sum = values[0].map(() => 0);
  for (const row of values.slice(1, -1)) {
    sum = row.map((v, i) => v + sum[i]);
    out.push(sum);
  }
  return [out[0], ...out.slice(1).reverse(), values.at(-1)];
}

const phases = ["waiting for the answer", "TLS", "connect", "DNS"];

function draw(box) {
  const values = JSON.parse(box.dataset.values);
  const size = () => ({ width: Math.max(240, box.clientWidth), height: 180 });
  const axis = { stroke: css("--chart-text"), font: "11px " + css("--sans"), ticks: { show: false } };
  const ms = (v) => v == null ? "" : v >= 1000 ? (v / 1000).toFixed(1) + " s" : v.toFixed(v < 10 ? 1 : 0) + " ms";
  const series = phases.map((label, i) => ({
    label, stroke: css(`--chart-${4 - i}`), fill: css(`--chart-${4 - i}`), width: 0, points: { show: false }, spanGaps: false,
    paths: uPlot.paths.linear(),
    value: (u, v, s, at) => {
      if (at == null) return "";
      const below = s < phases.length ? u.data[s + 1][at] : 0;
      return ms(v - below);
    },
  }));
  series.push({ label: "95 of 100", stroke: css("--chart-1"), width: 1.5, dash: [4, 3], points: { show: false }, value: (u, v) => ms(v) });
  const u = new uPlot({
    ...size(),
    series: [{ label: "", value: "{D} {MMM} {HH}:{mm}" }, ...series],
    axes: [
      { ...axis, grid: { show: false }, values: [[86400, "{D} {MMM}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1], [60, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
      { ...axis, size: 52, grid: { stroke: css("--chart-grid"), width: 1 }, values: (u, all) => all.map((v, i) => i === all.length - 1 ? v + " ms" : v) },
    ],
    scales: { y: { range: (u, low, high) => [0, Math.max(1, high * 1.1)] } },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
  }, stacked(values), box);
  plots.push({ box, u });
  new ResizeObserver(() => u.setSize(size())).observe(box);
}

function all() {
  for (const p of plots) { p.u.destroy(); }
  plots.length = 0;
  for (const box of document.querySelectorAll("[data-chart]")) draw(box);
}
all();
document.addEventListener("keyrounds:theme", all);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
