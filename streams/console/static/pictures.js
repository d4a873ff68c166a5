// Draws every figure of the page with Plotly, in the page's own colours, when it comes near to what is seen.
// Knows nothing of a server: a report in a file is drawn by the same lines.
"use strict";
(() => {
  const NAMES = ["good", "warn", "bad", "dim", "soft", "ink", "line", "card", "link", "reference", "current", "heat0", "heat1", "heat2", "heat3", "heat4", "heat5"];
  const CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, showTips: false, doubleClick: "reset" };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const drawn = new WeakMap(); // plot -> the text it was drawn from, in which colours
  const follow = new WeakMap(); // plot -> its links
  let colours = {};

  function learnColours() {
    const style = getComputedStyle(document.documentElement);
    colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  function coloured(value) {
    if (typeof value === "string" && value.startsWith("@")) {
      const [name, share] = value.slice(1).split("/");
      const colour = colours[name];
      if (!colour) return value;
      return share ? colour + Math.round(255 * share).toString(16).padStart(2, "0") : colour;
    }
    if (Array.isArray(value)) {
      const numbers = typeof value[0] === "number" && typeof value[value.length - 1] !== "string";
      return numbers ? value : value.map(coloured); // long columns are left alone
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, coloured(inner)]));
    }
    return value;
  }

  function merged(base, more) {
    const found = { ...base };
    for (const [key, value] of Object.entries(more)) {
      const both = value && found[key] && typeof value === "object" && typeof found[key] === "object";
      found[key] = both && !Array.isArray(value) ? merged(found[key], value) : value;
    }
    return found;
  }

  function layoutOf(figure) {
    const axis = { gridcolor: "@line", linecolor: "@line", zeroline: false, automargin: true, tickfont: { size: 11 }, fixedrange: true };
    const base = {
      font: { family: "system-ui, sans-serif", size: 12, color: "@soft" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 44, r: 12, t: 8, b: 30 }, showlegend: false, hovermode: "x unified",
      hoverlabel: { bgcolor: "@card", bordercolor: "@line", font: { color: "@ink", size: 12 } },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
      dragmode: false,
      transition: { duration: 0 },
      xaxis: { ...axis, showgrid: false },
      yaxis: { ...axis, rangemode: "tozero" },
    };
    for (const key of Object.keys(figure.layout || {})) {
      if (/^[xy]axis\d+$/.test(key)) base[key] = { ...base[`${key[0]}axis`] };
    }
    const layout = merged(base, figure.layout || {});
    // with a mouse a stretch of time can be looked at closer; with a finger the page is scrolled
    if (!coarse.matches && layout.xaxis.type === "date" && !figure.links) {
      layout.dragmode = "zoom";
      layout.xaxis.fixedrange = false;
    }
    return coloured(layout);
  }

  function draw(plot) {
    const source = plot.parentElement.querySelector(":scope > script[type='application/json']");
    const look = source ? `${dark.matches}${source.textContent}` : null;
    if (look === null || drawn.get(plot) === look) return;
    drawn.set(plot, look);
    const figure = JSON.parse(source.textContent);
    follow.set(plot, figure);
    const first = !plot.classList.contains("js-plotly-plot");
    Plotly.react(plot, coloured(inUtc(figure)), layoutOf(figure), CONFIG);
    if (first && figure.links) leads(plot);
  }

  // Plotly shows a number in the time zone of whoever looks, and a text as it is: all times here are UTC.
  function utc(ms) {
    return ms === null ? null : new Date(ms).toISOString().slice(0, -1);
  }

  function inUtc(figure) {
    if (figure.layout?.xaxis?.type !== "date") return figure.data;
    return figure.data.map((trace) => ({ ...trace, x: trace.x.map(utc) }));
  }

  function address(figure, row, column) {
    const { rows, columns } = figure.links;
    if (rows[row] === undefined || columns[column] === undefined) return null;
    return rows[row] + columns[column];
  }

  // A click, or arrow keys and Enter, on a cell of a heat map or a point of a line leads to its page.
  function leads(plot) {
    const place = { row: 0, column: -1 };
    const spoken = document.createElement("p");
    spoken.className = "sr";
    spoken.setAttribute("aria-live", "polite");
    spoken.dataset.keep = "";
    plot.after(spoken);
    const go = (where) => where && location.assign(where);
    plot.on("plotly_click", ({ points: [point] }) => {
      const grid = Array.isArray(point.pointIndex);
      const [row, column] = grid ? point.pointIndex : [0, point.customdata ?? point.pointIndex];
      go(address(follow.get(plot), row, column));
    });
    plot.addEventListener("keydown", (event) => {
      const figure = follow.get(plot);
      const { rows, columns } = figure.links;
      if (place.column < 0) place.column = columns.length - 1;
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9] }[event.key];
      if (event.key === "Enter") return go(address(figure, place.row, place.column));
      if (!step) return undefined;
      event.preventDefault();
      place.row = Math.min(Math.max(place.row + step[0], 0), rows.length - 1);
      place.column = Math.min(Math.max(place.column + step[1], 0), columns.length - 1);
      mark(plot, figure, place, spoken);
      return undefined;
    });
    plot.addEventListener("blur", () => Plotly.relayout(plot, { shapes: layoutOf(follow.get(plot)).shapes || [] }));
  }

  function mark(plot, figure, place, spoken) {
    const trace = figure.data[0];
    const grid = trace.type === "heatmap";
    const x = trace.x[place.column];
    const y = grid ? trace.y[place.row] : trace.y[place.column];
    const value = grid ? trace.z[place.row][place.column] : y;
    const apart = trace.x.length > 1 ? (trace.x[trace.x.length - 1] - trace.x[0]) / (trace.x.length - 1) : 3600000;
    const box = grid
      ? { type: "rect", x0: utc(x - apart / 2), x1: utc(x + apart / 2), y0: y - 0.5, y1: y + 0.5 }
      : { type: "line", x0: utc(x), x1: utc(x), yref: "paper", y0: 0, y1: 1 };
    const shapes = [...(layoutOf(figure).shapes || []), { ...box, line: { color: colours.ink, width: 2 } }];
    Plotly.relayout(plot, { shapes });
    const name = grid && figure.names ? `${figure.names[place.row]}, ` : "";
    const when = new Date(x).toISOString().slice(0, 16).replace("T", " ");
    spoken.textContent = `${name}${when} UTC: ${value === null || value === undefined ? "not measured" : value}`;
  }

  const near = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) draw(one.target);
  }, { rootMargin: "400px" });

  function all() {
    learnColours();
    for (const plot of document.querySelectorAll(".picture .plot")) {
      near.unobserve(plot); // and again: the observer tells of it anew if it is near
      near.observe(plot);
    }
  }

  function start() {
    all();
    dark.addEventListener("change", all);
    document.addEventListener("leeway:changed", all);
    addEventListener("beforeprint", () => document.querySelectorAll(".picture .plot").forEach(draw));
    document.documentElement.dataset.still = still.matches;
  }
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
