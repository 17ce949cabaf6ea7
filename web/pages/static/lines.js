// Draws what has data-lines, with uPlot: the median and 95 of 100 of a provider's answers. Its figures are also in words.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const plots = [];
  const ms = (v) => v == null ? "" : v >= 1000 ? (v / 1000).toFixed(1) + " s" : v.toFixed(v < 10 ? 1 : 0) + " ms";
  const dates = [[86400, "{D} {MMM}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1], [60, "{HH}:{mm}", "\n{D} {MMM}", null, null, null, null, null, 1]];
  function draw(box) {
    const values = JSON.parse(box.dataset.lines);
    // A value that has no neighbour makes no line, so it is a point.
    const lonely = (u, s) => u.data[s].flatMap((v, i, all) => v != null && all[i - 1] == null && all[i + 1] == null ? [i] : []);
    const size = () => ({ width: Math.max(200, box.clientWidth), height: 180 });
    const axis = { stroke: css("--chart-text"), font: "11px " + css("--sans"), ticks: { show: false } };
    const series = (label, colour, dash) => ({
      label, stroke: css(colour), width: 1.5, dash, spanGaps: false, paths: uPlot.paths.linear(), value: (u, v) => ms(v),
      points: { show: true, size: 4, filter: lonely },
    });
    const u = new uPlot({
      ...size(),
      series: [{ label: "Hour", value: "{D} {MMM} {HH}:{mm}" }, series("Half at most", "--chart-1"), series("95 of 100 at most", "--chart-2", [4, 3])],
      axes: [
        { ...axis, grid: { show: false }, space: 70, values: dates },
        { ...axis, size: 56, grid: { stroke: css("--chart-grid"), width: 1 }, space: 36, values: (_, all) => all.map((v, i) => i === all.length - 1 ? ms(v) : String(v)) },
      ],
      scales: { y: { range: (_, low, high) => [0, Math.max(1, (high || 0) * 1.1)] } },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    }, values, box);
    const watch = new ResizeObserver(() => u.setSize(size()));
    watch.observe(box);
    plots.push(() => { watch.disconnect(); u.destroy(); });
  }
  function all() {
    for (const end of plots.splice(0)) end();
    for (const box of document.querySelectorAll("[data-lines]")) draw(box);
  }
  all();
  document.addEventListener("keyrounds:theme", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
