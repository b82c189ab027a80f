"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const chosen = {}; // view -> index of the figure shown
  const drawn = new Set();
  const byId = (id) => document.getElementById(id);

  // ---- light and dark
  const stored = () => { try { return localStorage.getItem("igcv-theme"); } catch { return null; } };
  const store = (theme) => { try { localStorage.setItem("igcv-theme", theme); } catch { /* a page without storage */ } };
  const preferred = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const setTheme = (theme) => { root.dataset.theme = theme; drawn.forEach(draw); };
  root.dataset.theme = stored() || preferred();
  byId("theme").addEventListener("click", () => {
    const theme = root.dataset.theme === "dark" ? "light" : "dark";
    store(theme);
    setTheme(theme);
  });

  // ---- figures, drawn when they come near the window
  const config = { responsive: true, displaylogo: false, plotlyServerURL: "", modeBarButtonsToRemove: ["sendChartToCloud"], toImageButtonOptions: { format: "svg" } };
  function draw(view) {
    const element = byId(`figure-${view}`);
    const figure = data.figures[view][chosen[view] || 0];
    const layout = { ...structuredClone(figure.layout), template: data.templates[root.dataset.theme], autosize: true };
    element.style.minWidth = layout.xaxis2 ? "640px" : ""; // several planes scroll sideways where there is no room
    if (element.clientWidth < 600) layout.height += 60; // the legend takes more lines
    Plotly.react(element, structuredClone(figure.data), layout, config);
    if (!drawn.has(view)) element.on("plotly_click", (event) => showTrial(event.points[0].customdata));
    drawn.add(view);
  }
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) { near.unobserve(entry.target); draw(entry.target.dataset.view); }
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll(".figure").forEach((element) => near.observe(element));
  addEventListener("beforeprint", () => Object.keys(data.figures).forEach(draw));
  document.querySelectorAll(".choices button").forEach((button) => button.addEventListener("click", () => {
    const view = button.dataset.view;
    chosen[view] = Number(button.dataset.index);
    button.parentElement.querySelectorAll("button").forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
    if (drawn.has(view)) Plotly.purge(byId(`figure-${view}`));
    drawn.delete(view);
    draw(view);
  }));

  // ---- one network
  function showTrial(number) {
    if (number === undefined || number === null) return;
    const member = byId(`trial-${number}`);
    if (member) { member.open = true; member.scrollIntoView(); member.querySelector("summary").focus(); return; }
    byId("search").value = `#${number}`;
    find();
    byId("trials").scrollIntoView();
  }
  const openTarget = () => { const member = /^#trial-\d+$/.test(location.hash) && byId(location.hash.slice(1)); if (member) member.open = true; };
  addEventListener("hashchange", openTarget);
  openTarget();
  document.querySelectorAll('a[href^="#trial-"]').forEach((link) => link.addEventListener("click", (event) => {
    if (byId(link.hash.slice(1))) { byId(link.hash.slice(1)).open = true; return; }
    event.preventDefault();
    showTrial(Number(link.hash.slice(7)));
  }));

  // ---- the table of all trials: search, sort, pages, download
  const titles = { number: "#", accuracy: "accuracy", macs: "MACs", params: "parameters", seconds: "seconds", state: "state", mark: "mark", family: "family", name: "network" };
  const columns = Object.keys(titles);
  const numeric = new Set(["number", "accuracy", "macs", "params", "seconds"]);
  const trials = data.trials;
  const perPage = 25;
  const texts = trials.number.map((number, i) => `#${number} ${trials.name[i]} ${trials.family[i]} ${trials.state[i]} ${trials.mark[i]}`.toLowerCase());
  let order = trials.number.map((_, i) => i);
  let sorted = { column: "number", up: true };
  let page = 0;

  const shown = (column, value) => {
    if (value === null) return "–";
    if (column === "accuracy") return `${(100 * value).toFixed(2)} %`;
    return typeof value === "number" && column !== "number" ? value.toLocaleString("en") : String(value);
  };
  function find() {
    const words = byId("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const matches = (text) => words.every((word) => (/^#\d+$/.test(word) ? text.startsWith(`${word} `) : text.includes(word)));
    order = trials.number.map((_, i) => i).filter((i) => matches(texts[i]));
    sort();
  }
  function sort() {
    const values = trials[sorted.column];
    const sign = sorted.up ? 1 : -1;
    order.sort((a, b) => {
      if (values[a] === values[b]) return a - b;
      if (values[a] === null) return 1;
      if (values[b] === null) return -1;
      return values[a] < values[b] ? -sign : sign;
    });
    page = 0;
    fill();
  }
  function fill() {
    const body = byId("table").tBodies[0];
    body.replaceChildren(...order.slice(page * perPage, (page + 1) * perPage).map((i) => {
      const line = document.createElement("tr");
      if (trials.mark[i] === "front" || trials.mark[i] === "reference") line.className = "front";
      line.append(...columns.map((column) => {
        const cell = document.createElement("td");
        cell.textContent = shown(column, trials[column][i]);
        if (numeric.has(column)) cell.className = "number";
        if (column === "name") cell.className = "long";
        return cell;
      }));
      return line;
    }));
    const pages = Math.max(1, Math.ceil(order.length / perPage));
    byId("page").textContent = `${order.length.toLocaleString("en")} trials, page ${page + 1} of ${pages}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page >= pages - 1;
    byId("table").tHead.querySelectorAll("th").forEach((head) => {
      head.setAttribute("aria-sort", head.dataset.column !== sorted.column ? "none" : sorted.up ? "ascending" : "descending");
    });
  }
  const heads = document.createElement("tr");
  for (const column of columns) {
    const head = document.createElement("th");
    const button = document.createElement("button");
    head.scope = "col";
    if (numeric.has(column)) head.className = "number";
    head.dataset.column = column;
    button.type = "button";
    button.textContent = titles[column];
    button.addEventListener("click", () => { sorted = { column, up: sorted.column === column ? !sorted.up : column !== "accuracy" }; sort(); });
    head.append(button);
    heads.append(head);
  }
  byId("table").tHead.append(heads);
  byId("search").addEventListener("input", find);
  byId("previous").addEventListener("click", () => { page -= 1; fill(); });
  byId("next").addEventListener("click", () => { page += 1; fill(); });
  const quoted = (value) => {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    return `"${(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value).replaceAll('"', '""')}"`; // no formulas in spreadsheets
  };
  byId("download").addEventListener("click", () => {
    const lines = [columns.join(","), ...order.map((i) => columns.map((column) => quoted(trials[column][i])).join(","))];
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
    link.download = "trials.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  find();
})();
