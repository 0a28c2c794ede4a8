// The page around Kedro-Viz: one pane for each trial that is shown, with the picker of trials.
(() => {
  "use strict";
  const STATES = ["ran", "reused", "failed", "stopped", "skipped"];
  const SHOWN_ROWS = 300;
  const EVERY_MS = 3000;
  const WIDE = 900;
  const panes = [];
  // As Kedro-Viz's page will be, which tells later.
  const light = matchMedia("(prefers-color-scheme: light)").matches;
  document.body.dataset.theme = JSON.parse(localStorage.getItem("KedroViz") || "{}").theme
    || (light ? "light" : "dark");
  let study = { trials: [] };
  let tag = null;

  const find = (selector, within = document) => within.querySelector(selector);

  function make(name, text = "", kind = "") {
    const element = document.createElement(name);
    element.textContent = text;
    if (kind) element.className = kind;
    return element;
  }

  async function get(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  const valueOf = (trial) => (trial.value === null ? trial.state : Number(trial.value).toPrecision(6));
  const written = (value) => {
    if (typeof value === "string") return value;
    return JSON.stringify(typeof value === "number" ? Number(value.toPrecision(6)) : value);
  };
  const numbered = (number) => study.trials.find((t) => t.number === number);
  const best = () => study.trials.find((t) => t.value !== null && !t.changed);

  /** One trial, its picker and Kedro-Viz's page. */
  class Pane {
    constructor(number) {
      const copy = find("#pane").content.cloneNode(true);
      this.element = find(".pane", copy);
      this.frame = find("iframe", copy);
      this.button = find(".chosen", copy);
      this.choice = find(".choice", copy);
      this.search = find("input", copy);
      this.list = find("ol", copy);
      this.number = number;
      this.marked = new Set();
      this.at = 0;
      this.button.addEventListener("click", () => this.open(this.choice.hidden));
      this.search.addEventListener("input", () => { this.at = 0; this.fill(); });
      this.search.addEventListener("keydown", (event) => this.key(event));
      find(".compare", copy).addEventListener("click", () => add().then(remember));
      find(".close", copy).addEventListener("click", () => close(this));
      find("main").append(this.element);
      this.frame.src = "view/";
      this.label();
    }

    open(yes) {
      this.choice.hidden = !yes;
      this.button.setAttribute("aria-expanded", String(yes));
      if (!yes) return;
      this.search.value = "";
      this.at = 0;
      this.fill();
      this.search.focus();
    }

    key(event) {
      const rows = [...this.list.children];
      if (event.key === "Escape") {
        this.open(false);
        this.button.focus();
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        this.at = Math.max(0, Math.min(rows.length - 1, this.at + (event.key === "ArrowDown" ? 1 : -1)));
        rows.forEach((row, i) => row.setAttribute("aria-selected", String(i === this.at)));
        rows[this.at]?.scrollIntoView({ block: "nearest" });
      } else if (event.key === "Enter") {
        rows[this.at]?.click();
      }
    }

    /** List the trials that match, best first. */
    fill() {
      const found = matching(this.search.value.trim());
      this.at = Math.min(this.at, Math.max(0, Math.min(found.length, SHOWN_ROWS) - 1));
      this.list.replaceChildren(...found.slice(0, SHOWN_ROWS).map(([t, match], i) => {
        const row = make("li");
        row.setAttribute("role", "option");
        row.setAttribute("aria-selected", String(i === this.at));
        row.dataset.trial = t.number;
        row.append(
          make("span", `#${t.number}`),
          make("span", `${t === best() ? "★ " : ""}${valueOf(t)}`),
          make("span", t.cost, "quiet"),
          shares(t.counts),
        );
        row.append(make("span", described(t, match), "match"));
        row.title = described(t, "", "\n");
        if (t.changed) {
          row.append(make("span", "before an edit", "match"));
          row.title = `Changed since: ${t.changed}\n${row.title}`;
        }
        row.classList.toggle("now", t.number === this.number);
        const shown = STATES.some((s) => t.counts[s]);
        row.classList.toggle("off", !shown);
        if (shown) row.addEventListener("click", () => this.choose(t.number));
        return row;
      }));
      const left = found.length - SHOWN_ROWS;
      const none = found.length ? "" : "no trial matches";
      find(".more", this.choice).textContent = left > 0 ? `${left} more: type to find them` : none;
    }

    async choose(number) {
      this.open(false);
      await this.show(number);
      remember();
    }

    async show(number) {
      this.number = number;
      this.label();
      await compared();
      await Promise.all(panes.map((pane) => (pane === this || panes.length > 1) && pane.draw()));
    }

    async draw() {
      const view = this.frame.contentWindow.trialView;
      if (view?.ready) await view.show(this.number, this.marked);
    }

    label() {
      const trial = numbered(this.number);
      const star = trial && trial === best() ? " ★ best" : "";
      const told = trial?.confirmation || "";
      const mark = told && (told.startsWith("confirmed") ? " ✓ confirmed" : " ✗ not confirmed");
      this.button.textContent =
        trial ? `Trial ${trial.number} · ${valueOf(trial)}${star}${mark}` : "…";
      this.button.title = trial?.error || told || "Choose a trial";
      find(".report", this.element).href = `report.html?trial=${this.number}`;
      const goal = study.maximize ? "maximize" : "minimize";
      find(".study b", this.element).textContent = study.study;
      find(".study span", this.element).textContent =
        `${goal} ${study.objective} · ${study.trials.length} trials`;
      const named = STATES.filter((name) => name !== "stopped" || trial?.counts.stopped);
      find(".legend", this.element).replaceChildren(...named.map((name) => {
        const count = trial?.counts[name] || 0;
        const item = make("li", "", count ? "" : "none");
        item.style.setProperty("--colour", `var(--${name})`);
        item.style.setProperty("--fill", `var(--${name}-fill)`);
        item.append(make("b", String(count)), ` ${name}`);
        return item;
      }));
    }
  }

  /** The parameters of a trial: the one that matches a query, then those that differ from the best. */
  function described(trial, match, between = "  ") {
    // Of the best itself, what differs from the defaults.
    const other = (trial === best() ? numbered(study.defaults) : best())?.params || {};
    const same = ([path, v]) => JSON.stringify(v) === JSON.stringify(other[path]);
    const all = Object.entries(trial.params);
    const told = [...all.filter((entry) => !same(entry)), ...all.filter(same)]
      .map(([path, v]) => `${path}=${written(v)}`);
    return [...(match ? [match] : []), ...told.filter((text) => text !== match)].join(between);
  }

  function shares(counts) {
    const bar = make("span", "", "shares");
    bar.title = STATES.filter((s) => counts[s]).map((s) => `${counts[s]} ${s}`).join(", ");
    for (const name of STATES) {
      const part = make("i");
      part.style.setProperty("--colour", `var(--${name})`);
      part.style.flexGrow = counts[name];
      bar.append(part);
    }
    return bar;
  }

  /** Trials by number or value, then those of which a parameter matches, with that parameter. */
  function matching(query) {
    const words = query.toLowerCase().replace(/^#/, "");
    if (!words) return study.trials.map((t) => [t, ""]);
    const exact = study.trials.filter((t) => String(t.number) === words);
    const close = study.trials.filter((t) => !exact.includes(t)
      && (String(t.value).startsWith(words) || valueOf(t).startsWith(words)));
    const listed = new Set([...exact, ...close]);
    const named = study.trials.filter((t) => !listed.has(t)).map((t) => {
      const match = Object.entries(t.params).map(([path, v]) => `${path}=${written(v)}`)
        .find((told) => told.toLowerCase().includes(words));
      return [t, match];
    });
    return [...exact, ...close].map((t) => [t, ""]).concat(named.filter(([, match]) => match));
  }

  /** Find what differs between the two trials, and say it. */
  async function compared() {
    const told = find("#differences");
    told.hidden = panes.length < 2;
    panes.forEach((pane) => {
      pane.marked = new Set();
      find(".compare", pane.element).hidden = panes.length > 1;
      find(".study", pane.element).classList.toggle("away", panes.length > 1);
      find(".close", pane.element).hidden = panes.length < 2;
      find(".report", pane.element).hidden = panes.length > 1;
    });
    if (panes.length < 2) return;
    const [a, b] = await Promise.all(panes.map((p) => get(`trials/${p.number}/facts`)));
    const differs = (x, y) => JSON.stringify(x) !== JSON.stringify(y);
    const ids = new Set([...Object.keys(a.content), ...Object.keys(b.content)]);
    const marked = new Set([...ids].filter((id) => differs(a.content[id], b.content[id])));
    panes.forEach((pane) => { pane.marked = marked; });
    const paths = [...new Set([...Object.keys(a.params), ...Object.keys(b.params)])]
      .filter((path) => differs(a.params[path], b.params[path]));
    const of = (trial, path) => (path in trial.params ? written(trial.params[path]) : "not used");
    const same = paths.length ? "" : ": none, the parameters are the same";
    told.replaceChildren(
      make("strong", `Differs, outlined in the graphs${same}`),
      ...paths.map((path) => {
        const chip = make("span");
        chip.append(make("b", path), ` ${of(a, path)} → ${of(b, path)}`);
        return chip;
      }),
    );
  }

  function close(pane) {
    panes.splice(panes.indexOf(pane), 1);
    pane.element.remove();
    panes[0].frame.contentWindow.trialView?.narrow(false);
    panes[0].show(panes[0].number);
    remember();
  }

  /** Show a second trial; without a number that of the defaults, else the one next in rank. */
  async function add(number) {
    const rank = study.trials.findIndex((t) => t.number === panes[0].number);
    const usable = (t) => t && STATES.some((s) => t.counts[s]);
    const defaults = numbered(study.defaults);
    const other = defaults?.number === panes[0].number ? undefined : defaults;
    const beside = number ?? [other, study.trials[rank + 1], study.trials[rank - 1], study.trials[rank]]
      .find(usable).number;
    const first = panes[0].frame.contentWindow.trialView;
    panes.push(new Pane(beside));
    if (first?.ready) first.narrow(true);
    await panes[0].show(panes[0].number);
  }

  function remember() {
    const [trial, against] = panes.map((p) => p.number);
    const address = `?trial=${trial}${against === undefined ? "" : `&against=${against}`}`;
    if (address !== location.search) history.pushState(null, "", address);
  }

  async function follow() {
    const answer = await fetch("trials.json", tag ? { headers: { "If-None-Match": tag } } : {});
    if (answer.status === 200) {
      tag = answer.headers.get("ETag");
      study = await answer.json();
      panes.forEach((pane) => { pane.label(); if (!pane.choice.hidden) pane.fill(); });
    }
    // What was saved stays as it is; the rest goes on while `tune` does.
    if (!study.saved) setTimeout(() => follow().catch(() => setTimeout(follow, EVERY_MS)), EVERY_MS);
  }

  async function begin() {
    await follow();
    const asked = new URLSearchParams(location.search);
    const number = (name) => (asked.has(name) ? Number(asked.get(name)) : undefined);
    const first = numbered(number("trial")) || best() || study.trials[0];
    panes.push(new Pane(first.number));
    if (numbered(number("against"))) await add(number("against"));
    else await compared();
    document.title = `${study.study}: trials in Kedro-Viz`;
  }

  // What the panes tell of themselves.
  window.shell = {
    trialOf: (view) => panes.find((p) => p.frame.contentWindow === view)?.number,
    themed: (theme) => { document.body.dataset.theme = theme; },
    clicked: (view, id) => panes.filter((p) => p.frame.contentWindow !== view)
      .forEach((p) => p.frame.contentWindow.trialView?.select(p.number, id)),
    ready: (view) => {
      const pane = panes.find((p) => p.frame.contentWindow === view);
      if (!pane) return;
      if (panes.length > 1) view.trialView.narrow(true);
      // Between the list of nodes and the panel there would be no graph to be seen.
      else if (innerWidth < WIDE) view.trialView.fold();
      pane.draw();
    },
  };

  document.addEventListener("pointerdown", (event) => {
    panes.filter((p) => !find(".picker", p.element).contains(event.target))
      .forEach((p) => p.open(false));
  });
  // A click into Kedro-Viz's page leaves this one.
  window.addEventListener("blur", () => panes.forEach((p) => p.open(false)));
  window.addEventListener("popstate", () => location.reload());
  begin();
})();
