(() => {
  "use strict";
  const MARK = "#e0218a";
  const ROWS = 100;
  const LINES = 16;
  const EVERY_MS = 3000;
  // What a page that follows its study shows of it; undefined for a page that stands alone.
  const live = document.documentElement.dataset.live;
  const text = (value) => {
    if (value === null || value === undefined) return "–";
    return typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
  };
  const source = document.querySelector(".trials > script.data");
  const study = source ? JSON.parse(source.textContent) : { parameters: [], trials: [] };
  const byNumber = new Map(study.trials.map((t) => [t.number, t]));
  const plots = [];
  let marked = null;

  // plotly.js reads a subset of HTML.
  const safe = (value) => String(value).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const hovers = new Map();
  function hover(number) {
    if (!hovers.has(number)) {
      const values = byNumber.get(number)?.values || [];
      const lines = study.parameters.map((path, i) => [path, values[i]])
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([path, value]) => `<br>${safe(path)} = ${safe(text(value)).slice(0, 40)}`);
      const more = lines.length > LINES ? `<br>and ${lines.length - LINES} more` : "";
      hovers.set(number, lines.slice(0, LINES).join("") + more);
    }
    return hovers.get(number);
  }

  for (const script of document.querySelectorAll("figure script[type='application/json']")) {
    const plot = script.previousElementSibling;
    const figure = JSON.parse(script.textContent);
    for (const trace of figure.data) {
      // Labels of axes that are nearer to each other would collide.
      if (trace.type === "parcoords") plot.style.minWidth = `${110 * trace.dimensions.length}px`;
      if (trace.meta === "trials" && trace.type !== "parcoords") {
        trace.hovertext = trace.customdata.map(hover);
      }
    }
    Plotly.newPlot(plot, figure.data, figure.layout, { responsive: true, displayModeBar: false });
    plot.on("plotly_click", ({ points }) => {
      const point = points.find((p) => p.data.meta === "trials");
      if (point) choose(point.customdata, true);
    });
    plots.push(plot);
  }

  /** Mark a trial in a figure, or take the mark away. */
  function mark(plot, number) {
    const lines = plot.data.findIndex((t) => t.type === "parcoords");
    if (lines >= 0) return markLine(plot, lines, number);
    const old = plot.data.findIndex((t) => t.meta === "marked");
    if (old >= 0) Plotly.deleteTraces(plot, old);
    const x = [];
    const y = [];
    let row = false;
    for (const trace of plot.data) {
      if (trace.meta !== "trials") continue;
      trace.customdata.forEach((n, i) => {
        if (n !== number) return;
        if (trace.type === "bar") row = true;
        else { x.push(trace.x[i]); y.push(trace.y[i]); }
      });
    }
    if (x.length) {
      Plotly.addTraces(plot, {
        type: "scatter", mode: "markers", meta: "marked", x, y, showlegend: false,
        hoverinfo: "skip",
        marker: { symbol: "circle-open", size: 15, color: MARK, line: { width: 3, color: MARK } },
      });
    }
    if (row || plot.layout.shapes?.length) {
      const shape = {
        type: "rect", xref: "paper", x0: 0, x1: 1, y0: number - 0.5, y1: number + 0.5,
        line: { color: MARK, width: 2 },
      };
      Plotly.relayout(plot, { shapes: row ? [shape] : [] });
    }
    return undefined;
  }

  /** Mark a line of parallel coordinates: it is drawn last, in a colour of its own. */
  function markLine(plot, at, number) {
    const trace = plot.data[at];
    trace.first ??= { scale: trace.line.colorscale, numbers: trace.customdata };
    const { scale, numbers } = trace.first;
    const end = numbers.length;
    const order = trace.customdata.map((n, i) => [n, i])
      .sort(([a], [b]) => numbers.indexOf(a) - numbers.indexOf(b));
    const last = order.findIndex(([n]) => n === number);
    if (last >= 0) order.push(...order.splice(last, 1));
    const color = order.map(([n]) => (n === number ? end : numbers.indexOf(n)));
    const shown = last < 0 ? scale
      : [...scale.map(([place, c]) => [place * (end - 0.5) / end, c]), [1, MARK]];
    const dimensions = trace.dimensions.map((d) => ({ ...d, values: order.map(([, i]) => d.values[i]) }));
    Plotly.restyle(plot, {
      dimensions: [dimensions], customdata: [order.map(([n]) => n)], "line.color": [color],
      "line.colorscale": [shown], "line.cmin": 0, "line.cmax": last < 0 ? end - 1 : end,
    }, [at]);
  }

  function choose(number, scroll = false) {
    marked = number === marked ? null : number;
    plots.forEach((plot) => mark(plot, marked));
    if (source) fill(scroll);
  }

  // The table of all trials.
  const columns = [
    ["trial", (t) => t.number], [study.objective, (t) => t.value], ["state", (t) => t.state],
    ["seconds", (t) => t.cost], ["saved", (t) => t.saved],
    ...study.parameters.map((path, i) => [path, (t) => t.values[i]]),
  ];
  const short = { value: 1, number: 0 };
  let order = { at: 1, down: study.maximize };
  let limit = ROWS;

  /** Whether a trial meets all conditions and has all words of a query. */
  function matching(query) {
    const tests = query.trim().split(/\s+/).filter(Boolean).map((word) => {
      const [, name, sign, wanted] = /^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/.exec(word) || [];
      if (name) {
        const at = short[name] ?? columns.findIndex(([title]) => title === name || title.endsWith(`.${name}`));
        if (at >= 0) {
          return (t) => {
            const value = columns[at][1](t);
            const equal = text(value) === wanted || (typeof value === "number" && value === Number(wanted));
            if (sign === "=") return equal;
            if (sign === "!=") return !equal;
            if (typeof value !== "number") return false;
            return { "<": value < wanted, ">": value > wanted, "<=": value <= wanted, ">=": value >= wanted }[sign];
          };
        }
      }
      const part = word.toLowerCase();
      return (t) => columns.some(([, of]) => text(of(t)).toLowerCase().includes(part));
    });
    return (t) => tests.every((test) => test(t));
  }

  function compared(a, b) {
    const missing = (v) => v === null || v === undefined;
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    const both = typeof a === "number" && typeof b === "number";
    const less = both ? a - b : text(a).localeCompare(text(b), undefined, { numeric: true });
    return order.down ? -less : less;
  }

  function make(name, content, kind = "") {
    const element = document.createElement(name);
    element.textContent = content;
    if (kind) element.className = kind;
    return element;
  }

  function fill(scroll = false) {
    const section = source.parentElement;
    const table = section.querySelector("table");
    const of = columns[order.at][1];
    const shown = study.trials.filter(matching(section.querySelector("input").value))
      .sort((a, b) => compared(of(a), of(b)) || a.number - b.number);
    const at = shown.findIndex((t) => t.number === marked);
    if (scroll && at >= limit) limit = at + 20;
    const head = document.createElement("tr");
    head.append(...columns.map(([title], i) => {
      const cell = make("th", title);
      const button = make("button", title + (i === order.at ? (order.down ? " ▾" : " ▴") : ""));
      button.type = "button";
      button.addEventListener("click", () => {
        order = { at: i, down: i === order.at ? !order.down : i === 1 && study.maximize };
        fill();
      });
      cell.setAttribute("aria-sort", i !== order.at ? "none" : order.down ? "descending" : "ascending");
      cell.replaceChildren(button);
      return cell;
    }));
    const rows = shown.slice(0, limit).map((t) => {
      const row = make("tr", "", t.number === marked ? "marked" : "");
      row.dataset.trial = t.number;
      row.append(...columns.map(([, value]) => make("td", text(value(t)))));
      if (live) {
        const link = make("a", t.number);
        link.href = `./?trial=${t.number}`;
        link.title = "Show its graph";
        link.addEventListener("click", (event) => event.stopPropagation());
        row.firstChild.replaceChildren(link);
      }
      row.addEventListener("click", () => choose(t.number));
      return row;
    });
    table.replaceChildren(head, ...rows);
    const count = section.querySelector(".count");
    count.textContent = shown.length === study.trials.length ? `${shown.length} trials`
      : `${shown.length} of ${study.trials.length} trials`;
    if (shown.length > limit) {
      const more = make("button", `show all ${shown.length}`);
      more.type = "button";
      more.addEventListener("click", () => { limit = Infinity; fill(); });
      count.append(`, the first ${limit} of them `, more);
    }
    const row = table.querySelector(".marked");
    if (scroll && row) row.parentElement.parentElement.scrollTo({ top: row.offsetTop - 120 });
  }

  /** Load the page anew when trials have ended, and show it as it was. */
  async function follow() {
    const { tag } = await (await fetch("report.json")).json();
    if (tag === live) return;
    const query = source?.parentElement.querySelector("input").value || "";
    sessionStorage.setItem("report", JSON.stringify({ query, order, marked, top: scrollY }));
    location.reload();
  }

  const input = source?.parentElement.querySelector("input");
  if (source) input.addEventListener("input", () => { limit = ROWS; fill(); });
  const kept = live && JSON.parse(sessionStorage.getItem("report") || "null");
  if (kept && source) {
    sessionStorage.removeItem("report");
    input.value = kept.query;
    order = kept.order;
    if (kept.marked !== null) choose(kept.marked);
    scrollTo(0, kept.top);
  } else if (source && live && new URLSearchParams(location.search).has("trial")) {
    choose(Number(new URLSearchParams(location.search).get("trial")), true);
  }
  if (source) fill();
  if (live) setInterval(() => follow().catch(() => {}), EVERY_MS);
  window.report = { choose, plots };
})();
