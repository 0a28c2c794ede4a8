// Runs before Kedro-Viz's own script, in its page: says which trial it shows, and changes it.
(() => {
  "use strict";
  if (window.parent === window) {
    location.replace(new URL("../", document.baseURI));
    return;
  }
  const shell = window.parent.shell;
  const root = new URL("../", document.baseURI).href;
  const original = window.fetch.bind(window);
  const state = { store: null, clicked: null, theme: null, ready: false };

  // Hints at what is new in Kedro-Viz would lie over the trial.
  const kept = JSON.parse(localStorage.getItem("KedroViz") || "{}");
  // Until the user has chosen another theme, the one that the browser prefers.
  const preferred = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  const settings = { theme: preferred, ...kept, showFeatureHints: false };
  localStorage.setItem("KedroViz", JSON.stringify(settings));

  // What the page asks for is that of the trial of this pane.
  window.fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input, document.baseURI);
    const asked = /\/api\/(main|run-status|pipelines\/.+|nodes\/.+)$/.exec(url.pathname);
    if (asked) {
      return original(`${root}trials/${shell.trialOf(window)}/api/${asked[1]}`, init);
    }
    const other = /\/api\/(version|metadata|deploy-viz-metadata)$/.exec(url.pathname);
    return original(other ? `${root}view/api/${other[1]}` : input, init);
  };

  // Redux tells its developer tools of the store by this name; so it tells us.
  const chain = (...functions) => (x) => functions.reduceRight((y, f) => f(y), x);
  const compose = window.__REDUX_DEVTOOLS_EXTENSION_COMPOSE__ || chain;
  window.__REDUX_DEVTOOLS_EXTENSION_COMPOSE__ = (...enhancers) => (createStore) => (...given) => {
    state.store = compose(...enhancers)(createStore)(...given);
    state.store.subscribe(follow);
    return state.store;
  };

  function follow() {
    const { node, theme, graph } = state.store.getState();
    if (theme !== state.theme) {
      state.theme = theme;
      shell.themed(theme);
    }
    if (node.clicked !== state.clicked) {
      state.clicked = node.clicked;
      if (state.ready) shell.clicked(window, node.clicked);
    }
    if (!state.ready && graph?.nodes?.length) {
      state.ready = true;
      // Not from within a dispatch.
      setTimeout(() => shell.ready(window), 0);
    }
  }

  async function get(number, path) {
    const answer = await original(`${root}trials/${number}/${path}`);
    if (!answer.ok) throw new Error(`trial ${number}: ${path}: ${answer.status}`);
    return answer.json();
  }

  /** Show a trial in the page as it stands: same place, same selection. */
  async function show(number, marked) {
    const current = () => shell.trialOf(window) === number;
    const kept = state.clicked;
    const panel = kept && get(number, `api/nodes/${kept}`);
    const run = get(number, "api/run-status");
    const facts = await get(number, "facts");
    if (!current()) return;
    paint(facts.status, marked);
    // What was fetched for the other trial is to be fetched anew. Emptied where it is: a new
    // object would have the same graph laid out and drawn once more.
    const { node } = state.store.getState();
    for (const id of Object.keys(node.fetched)) delete node.fetched[id];
    for (const id of Object.keys(node.preview || {})) if (id !== kept) delete node.preview[id];
    const [told, status] = await Promise.all([panel, run]);
    if (!current()) return;
    const data = { runStatus: inRedux(status) };
    // Clicked in the meantime, it has been asked for anew.
    if (kept && kept === state.clicked) data.node = filled(kept, told);
    state.store.dispatch({ type: "RESET_DATA", data });
  }

  // What Kedro-Viz keeps of a node's answer, by the names that each of the two gives it. The kind of
  // a dataset is left out: no trial changes it, and told of it, Kedro-Viz would lay the graph out
  // and draw it once more.
  const KEPT = {
    code: "code", filepath: "filepath", parameters: "parameters", inputs: "inputs",
    outputs: "outputs", originalType: "original_type", transcodedTypes: "transcoded_types",
    runCommand: "run_command", preview: "preview", previewType: "preview_type", stats: "stats",
  };

  /** The nodes of the store with what is told of one of them in the panel. */
  function filled(id, told) {
    const { node } = state.store.getState();
    node.fetched[id] = true;
    node.datasetType[id] = told.type;
    const parts = Object.entries(KEPT).map(([ours, theirs]) => [ours, { ...node[ours], [id]: told[theirs] }]);
    return { ...node, ...Object.fromEntries(parts) };
  }

  async function select(number, id) {
    if (id === state.clicked) return;
    state.clicked = id;
    state.store.dispatch({ type: "TOGGLE_NODE_CLICKED", nodeClicked: id });
    if (!id) return;
    const told = await get(number, `api/nodes/${id}`);
    if (shell.trialOf(window) === number && state.clicked === id) {
      state.store.dispatch({ type: "RESET_DATA", data: { node: filled(id, told) } });
    }
  }

  /** Colour nodes by what happened to them, and outline what differs. */
  // By rules of style: told of it, Kedro-Viz would lay the graph out and draw it once more.
  function paint(status, marked) {
    const nodes = (ids) => {
      const chosen = [...ids].map((id) => `[data-id="${CSS.escape(id)}"]`).join(", ");
      return `.pipeline-node:is(${chosen}):not([class*="pipeline-node--status-"])`;
    };
    const rules = [...new Set(Object.values(status))].map((name) => {
      const painted = nodes(Object.keys(status).filter((id) => status[id] === name));
      return `${painted}:not(.pipeline-node--selected) .pipeline-node__bg {
          fill: var(--${name}-fill) !important; stroke: var(--${name}-line) !important;
        }
        ${painted} :is(text, .pipeline-node__icon) { fill: var(--${name}-text) !important; }`;
    });
    if (marked.size) {
      // Named twice more, to count for more than the rules above.
      rules.push(`${nodes(marked)}.pipeline-node.pipeline-node .pipeline-node__bg {
        stroke: var(--differs) !important; stroke-width: 5px !important;
      }`);
    }
    state.rules ??= document.head.appendChild(document.createElement("style"));
    state.rules.textContent = rules.join("\n");
  }

  function inRedux({ nodes, datasets, pipeline }) {
    return {
      nodes, datasets,
      pipeline: {
        runId: pipeline.run_id, startTime: pipeline.start_time, endTime: pipeline.end_time,
        duration: pipeline.duration, status: pipeline.status, error: pipeline.error,
      },
    };
  }

  /** Leave the width to the graph, for two panes beside each other. */
  function narrow(yes) {
    const display = { ...state.store.getState().display };
    Object.assign(display, { sidebar: !yes, globalNavigation: !yes, miniMap: !yes });
    state.store.dispatch({ type: "RESET_DATA", data: { display } });
  }

  /** Fold the list of nodes, which can be unfolded. */
  const fold = () => state.store.dispatch({ type: "TOGGLE_SIDEBAR", visible: false });

  window.trialView = {
    show, select, narrow, fold,
    get ready() { return state.ready; },
  };
})();
