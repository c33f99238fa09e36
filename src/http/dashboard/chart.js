// Charts by uPlot, in the colours of the theme. Each has a label with its values for screen readers.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { el, set, setText } from "./dom.js";
import { locale } from "./language.js";
import { colour, onTheme } from "./theme.js";

/** Seconds of the time axis of lines. */
const SECONDS = 180;

/** An axis in the colours of the theme. */
export const axis = (extra = {}) => ({
  stroke: () => colour("muted"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { stroke: () => colour("line"), width: 1 },
  font: "12px system-ui, sans-serif",
  ...extra,
});

/** An axis with the time of day in the browser's time zone. */
export const timeAxis = (withDate = false) =>
  axis({
    size: 34,
    space: 80,
    values: (_, ticks, __, ___, step) => {
      const date = withDate ? { day: "2-digit", month: "2-digit" } : {};
      const seconds = step < 60 ? { second: "2-digit" } : {};
      const format = new Intl.DateTimeFormat(locale(), { ...date, hour: "2-digit", minute: "2-digit", ...seconds });
      return ticks.map((tick) => format.format(tick * 1000));
    },
  });

/** Keeps a chart as wide as its container and in the colours of the theme. Returns what ends it. */
export function keep(plot, container, height) {
  const fit = () => container.clientWidth > 0 && plot.setSize({ width: container.clientWidth, height });
  const observer = new ResizeObserver(fit);
  observer.observe(container);
  const ended = onTheme(() => plot.redraw(false, true));
  return () => {
    observer.disconnect();
    ended();
    plot.destroy();
  };
}

/**
 * A chart of the last minutes, with a line for each series.
 * @param {{title: string, series: {label: string, colour: string}[], format: (value: number) => string,
 *   least: number, hint?: string, height?: number}} plan  `least` is the least value at the top of the axis: below it, the
 *   labels of an axis would be rounded to equal texts
 */
export function lines({ title, series, format, least, hint, height = 150 }) {
  const canvas = el("div.chart-canvas", { role: "img", "aria-label": title });
  const values = series.map(() => el("strong", {}, "–"));
  const legend = series.map(({ label, colour: name }, index) => el("li", {}, el("span.swatch", { "data-colour": name, "aria-hidden": "true" }), `${label} `, values[index]));
  const element = el("figure.chart", {}, el("figcaption", {}, title, el("ul.legend", {}, legend)), canvas, hint && el("p.muted", {}, hint));
  const data = [[], ...series.map(() => [])];
  const plot = new uPlot(
    {
      width: 400,
      height,
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { range: () => [Date.now() / 1000 - SECONDS, Date.now() / 1000] }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(least, (high ?? 1) * 1.15)] } },
      axes: [timeAxis(), axis({ size: 64, values: (_, ticks) => ticks.map(format) })],
      series: [{}, ...series.map(({ label, colour: name }) => ({ label, stroke: () => colour(name), width: 2, points: { show: false } }))],
    },
    data,
    canvas,
  );
  const close = keep(plot, canvas, height);
  return {
    element,
    close,
    /** Adds a point to each line. */
    push: (time, points) => {
      data[0].push(time);
      points.forEach((point, index) => data[index + 1].push(point));
      if (data[0][0] < time - SECONDS - 10) for (const column of data) column.shift();
      plot.setData(data);
      points.forEach((point, index) => setText(values[index], point == null ? "–" : format(point)));
      set(canvas, "aria-label", `${title}: ${series.map(({ label }, index) => `${label} ${points[index] == null ? "–" : format(points[index])}`).join(", ")}`);
    },
  };
}
