// The panel: Python says what is to be seen, as trees of elements and lines of a grid; clicks and
// keys go back. Nothing is decided here, and nothing that comes from data is read as markup.
const TAGS = new Set(
  "b button code datalist div h2 h3 i input label li option p pre select span table tbody td th thead tr ul".split(" "),
);
const ATTRIBUTE = /^(accept|class|colspan|disabled|id|list|name|placeholder|role|scope|selected|tabindex|title|type|aria-[a-z]+)$/;
const FARTHEST = 15e6; // pixels: browsers draw nothing beyond, so longer grids scroll to scale
const AHEAD = 30; // lines that are fetched before they come into sight
const PIECE = 1 << 20; // bytes of a file in one message

const text = (words) => document.createTextNode(words);
function make(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

// Make what is inside an element what the trees say, and keep what is the same: focus and typing stay.
// IDs are the panel's own: another panel on the page has the same ones.
function patch(parent, trees, own) {
  const old = [...parent.childNodes];
  trees.forEach((tree, place) => {
    let node = old[place];
    if (typeof tree === "string") {
      if (node?.nodeType !== Node.TEXT_NODE) {
        const made = text(tree);
        node ? node.replaceWith(made) : parent.append(made);
      } else if (node.data !== tree) node.data = tree;
      return;
    }
    const [tag, attributes, children] = tree;
    if (!TAGS.has(tag)) throw new Error(`no element of the panel: ${tag}`);
    if (node?.localName !== tag || node.given?.id !== attributes.id) {
      const made = make(tag);
      node ? node.replaceWith(made) : parent.append(made);
      node = made;
    }
    const before = node.given ?? {};
    for (const name of Object.keys({ ...before, ...attributes })) {
      const value = attributes[name];
      if (name === "checked") node.checked = value === true;
      else if (name === "width") node.style.width = value ?? "";
      else if (name === "value" && value !== before.value && "value" in node) node.value = value ?? "";
      else if (ATTRIBUTE.test(name) && value !== before[name]) {
        if (value === undefined) node.removeAttribute(name);
        else node.setAttribute(name, value === true ? "" : name === "id" || name === "list" ? `${own}-${value}` : value);
      }
    }
    if (tag === "input" && before.checked && !attributes.checked) node.checked = false;
    node.given = attributes;
    patch(node, children, own);
    if (tag === "select" && attributes.value !== undefined) node.value = attributes.value;
  });
  for (const rest of old.slice(trees.length)) rest.remove();
}

// The rows: only what is in sight is in the page. Python is asked for the lines around it.
class Grid {
  constructor(tell) {
    this.tell = tell;
    this.lines = new Map(); // by their place; they stay, to be looked at, until newer ones are there
    this.fresh = new Set();
    this.spec = { version: -1, total: 0, columns: [], row: 28 };
    this.at = 0;
    this.head = make("div", "sk-head");
    this.body = make("div", "sk-body");
    for (const part of [this.head, this.body]) part.setAttribute("role", "rowgroup");
    this.root = make("div", "sk-grid", this.head, this.body);
    for (const [name, value] of Object.entries({
      role: "grid", tabindex: "0", "aria-label": "Rows of the plan", "aria-multiselectable": "true",
    })) this.root.setAttribute(name, value);
    this.root.addEventListener("scroll", () => this.draw());
    this.root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.body.addEventListener("click", (event) => this.click(event));
    this.body.addEventListener("dblclick", (event) => {
      const line = event.target.closest(".sk-line")?.line;
      if (line?.key !== undefined) this.tell("open", line.key);
    });
    new ResizeObserver(() => this.draw()).observe(this.root);
  }

  show(spec) {
    if (!spec.columns) return;
    const fresh = JSON.stringify([spec.columns, spec.tick]) !== JSON.stringify([this.spec.columns, this.spec.tick]);
    if (spec.order !== this.spec.order) this.lines.clear();
    if (spec.version !== this.spec.version) this.fresh.clear(), this.asked = 0; // no answer comes from what was left
    this.spec = spec;
    this.at = Math.max(0, Math.min(this.at, spec.total - 1));
    this.height = Math.min(spec.total * spec.row, FARTHEST);
    this.scale = spec.total * spec.row > FARTHEST ? (spec.total * spec.row - 600) / (FARTHEST - 600) : 1;
    this.wide = 34 + spec.columns.reduce((sum, column) => sum + column.width, 0);
    this.root.setAttribute("aria-rowcount", spec.total + 1);
    this.root.setAttribute("aria-colcount", spec.columns.length + 1);
    this.root.style.setProperty("--sk-row", `${spec.row}px`);
    this.body.style.height = `${this.height}px`;
    this.head.style.width = this.body.style.width = `${this.wide}px`;
    if (fresh) this.drawHead();
    this.draw();
  }

  drawHead() {
    const row = make("div", "sk-line");
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", 1);
    const all = make("button", "sk-tick", text(this.spec.tick));
    all.setAttribute("aria-label", "Select all rows shown, or none");
    all.addEventListener("click", () => this.tell("select_all"));
    const corner = make("div", "sk-cell sk-first", all);
    corner.setAttribute("role", "columnheader");
    row.append(corner, ...this.spec.columns.map((column) => this.headCell(column)));
    this.head.replaceChildren(row);
  }

  headCell(column) {
    const arrow = { ascending: " ↑", descending: " ↓" }[column.sort] ?? "";
    const sort = make("button", "sk-sort", text(column.title + arrow));
    sort.addEventListener("click", () => this.tell("sort", column.name));
    const menu = make("button", column.filtered ? "sk-menu on" : "sk-menu", text(column.filtered ? "▼" : "▾"));
    menu.setAttribute("aria-label", `Filter and arrange ${column.title}`);
    menu.addEventListener("click", () => this.tell("menu", column.name));
    const edge = make("span", "sk-edge");
    const cell = make("div", "sk-cell", sort, menu, edge);
    cell.setAttribute("role", "columnheader");
    cell.setAttribute("aria-sort", column.sort);
    cell.style.width = `${column.width}px`;
    cell.draggable = true;
    cell.addEventListener("dragstart", (event) => {
      if (edge.onpointermove) event.preventDefault(); // widening a column moves it nowhere
      else event.dataTransfer.setData("text/plain", column.name);
    });
    cell.addEventListener("dragover", (event) => event.preventDefault());
    cell.addEventListener("drop", (event) => {
      event.preventDefault();
      const moved = event.dataTransfer.getData("text/plain");
      if (this.spec.columns.some((one) => one.name === moved)) this.tell("move", moved, column.name);
    });
    edge.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      edge.setPointerCapture(event.pointerId);
      const from = event.clientX;
      edge.onpointermove = (now) => { cell.style.width = `${column.width + now.clientX - from}px`; };
      edge.onpointerup = (now) => {
        edge.onpointermove = edge.onpointerup = null;
        this.tell("width", column.name, Math.round(column.width + now.clientX - from));
      };
    });
    return cell;
  }

  // Where the first line in sight stands, with its fraction.
  first() {
    return (this.root.scrollTop * this.scale) / this.spec.row;
  }

  room() {
    return Math.max(1, Math.floor((this.root.clientHeight - this.head.offsetHeight) / this.spec.row));
  }

  draw() {
    const first = this.first();
    const begin = Math.max(0, Math.floor(first) - 2);
    const end = Math.min(this.spec.total, Math.ceil(first) + this.room() + 3);
    const lines = [];
    for (let place = begin; place < end; place++) lines.push(this.line(place, first));
    this.body.replaceChildren(...lines);
    if (this.lines.has(this.at) && this.at >= begin && this.at < end) {
      this.root.setAttribute("aria-activedescendant", `${this.id}-${this.at}`);
    } else this.root.removeAttribute("aria-activedescendant");
    this.fetch(begin, end);
  }

  fetch(begin, end) {
    if (!(begin < end)) return;
    let missing = begin;
    while (missing < end && this.fresh.has(missing)) missing++;
    if (missing === end || (this.asked && Date.now() - this.asked < 5000)) return;
    this.asked = Date.now();
    this.tell("lines", String(this.spec.version), [Math.max(0, missing - AHEAD), end + AHEAD]);
  }

  take(message) {
    this.asked = 0;
    if (message.version === this.spec.version) {
      if (this.lines.size > 5000) this.lines.clear(), this.fresh.clear();
      message.lines.forEach((line, place) => {
        this.lines.set(message.first + place, line);
        this.fresh.add(message.first + place);
      });
    }
    this.draw();
  }

  line(place, first) {
    const line = this.lines.get(place);
    const row = make("div", "sk-line");
    row.id = `${this.id}-${place}`;
    row.line = line;
    row.place = place;
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", place + 2);
    row.setAttribute("aria-selected", line?.on === true);
    if (line?.key !== undefined) row.dataset.row = line.key;
    if (place === this.at) row.classList.add("sk-at");
    row.style.transform = `translateY(${this.root.scrollTop + (place - first) * this.spec.row}px)`;
    const tick = make("div", "sk-cell sk-first", text(line?.on ? "☑" : line?.some ? "◪" : "☐"));
    const cells = line === undefined ? [make("div", "sk-cell sk-soft", text("…"))]
      : line.group === undefined ? line.cells.map((words, column) => this.cell(line, words, column))
        : [this.groupCell(line)];
    row.append(tick, ...cells);
    for (const cell of row.children) cell.setAttribute("role", "gridcell");
    return row;
  }

  cell(line, words, place) {
    const column = this.spec.columns[place];
    const cell = make("div", "sk-cell", text(words));
    if (column.name === "wanted") cell.classList.add(`sk-w-${words}`.replace(/[^\w-]/g, ""), ...(line.decided ? ["sk-decided"] : []));
    if (column.name === "state" && words === "blocked") cell.classList.add("sk-blocked");
    cell.style.width = `${column.width}px`;
    cell.title = words;
    return cell;
  }

  groupCell(line) {
    const fold = make("button", "sk-fold", text(`${line.open ? "▾" : "▸"} ${line.label}`));
    fold.tabIndex = -1;
    fold.setAttribute("aria-expanded", line.open);
    const cell = make("div", "sk-cell sk-group", fold);
    cell.setAttribute("aria-colspan", this.spec.columns.length);
    return cell;
  }

  click(event) {
    const row = event.target.closest(".sk-line");
    if (!row?.line) return;
    this.at = row.place;
    const ticked = event.target.closest(".sk-first") || event.ctrlKey || event.metaKey;
    const how = event.shiftKey ? "range" : ticked ? "toggle" : "alone";
    this.root.focus({ preventScroll: true });
    if (event.target.closest(".sk-fold")) this.tell("fold", row.line.group);
    else this.select(row.line, how);
  }

  select(line, how) {
    if (line.group !== undefined) this.tell("select_group", line.group, how);
    else this.tell("select", line.key, how);
  }

  wheel(event) {
    if (this.scale === 1 || event.deltaX || event.ctrlKey) return;
    event.preventDefault();
    this.root.scrollTop += (event.deltaMode ? event.deltaY * this.spec.row : event.deltaY) / this.scale;
  }

  // Keys work in the grid alone; returns whether one was taken.
  key(event) {
    // A decision may ask for its reason: letters typed until then are none of further decisions.
    if (this.waiting) return true;
    const line = this.lines.get(this.at);
    const step = {
      ArrowDown: 1, ArrowUp: -1, PageDown: this.room() - 1, PageUp: 1 - this.room(),
      Home: -this.spec.total, End: this.spec.total,
    }[event.key];
    if (step !== undefined) {
      this.go(this.at + step);
      const now = this.lines.get(this.at);
      if (event.shiftKey && now?.key !== undefined) this.select(now, "range");
      return true;
    }
    if ((event.ctrlKey || event.metaKey) && event.key === "a") return this.tell("select_all"), true;
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    if (event.key === "?") return this.tell("help"), true;
    if (event.key === "Escape") return this.tell("unselect"), true;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      if (line?.group !== undefined && line.open !== (event.key === "ArrowRight")) this.tell("fold", line.group);
      else this.root.scrollLeft += event.key === "ArrowRight" ? 120 : -120;
      return true;
    }
    if (!line) return false;
    if (event.key === " ") return this.select(line, "toggle"), true;
    if (event.key === "Enter") return this.tell(line.group === undefined ? "open" : "fold", line.key ?? line.group), true;
    if (event.repeat) return true;
    if ("arsu".includes(event.key)) return this.waiting = true, this.tell("letter", event.key, { key: line.key ?? -1, group: line.group ?? -1 }), true;
    return false;
  }

  go(place) {
    this.at = Math.max(0, Math.min(place, this.spec.total - 1));
    const first = this.first();
    if (this.at < first) this.root.scrollTop = Math.floor((this.at * this.spec.row) / this.scale);
    else if (this.at >= Math.floor(first + this.room())) {
      this.root.scrollTop = Math.ceil(((this.at + 1 - this.room()) * this.spec.row) / this.scale);
    }
    this.draw();
  }
}

let panels = 0;

function render({ model, el }) {
  const panel = make("div", "sharekit-panel");
  panel.classList.toggle("sk-shadowed", el.getRootNode() instanceof ShadowRoot);
  const parts = Object.fromEntries(["head", "above", "below"].map((name) => [name, make("div", `sk-part-${name}`)]));
  const form = () => {
    const fields = panel.querySelectorAll("[name]");
    return Object.fromEntries([...fields].map((one) => [one.name, one.type === "checkbox" ? one.checked : one.value]));
  };
  const tell = (action, key = "", value = "") => model.send({ do: action, key: String(key), value, form: form() });
  const grid = new Grid(tell);
  grid.id = `sk-${Date.now().toString(36)}-${panels++}`;
  panel.append(parts.head, parts.above, grid.root, parts.below);
  el.append(panel);

  let focused = "";
  const show = () => {
    const view = model.get("view");
    if (!view.above) return;
    const held = el.getRootNode().activeElement;
    for (const [name, part] of Object.entries(parts)) patch(part, view[name], grid.id);
    grid.root.hidden = !view.grid;
    if (view.grid) grid.show(view.grid);
    const asks = [...panel.querySelectorAll("input, button")].find((one) => one.given?.focus);
    if (asks && asks.given.focus !== focused) asks.focus();
    else if (held && panel !== held && !held.isConnected) (view.grid ? grid.root : panel.querySelector("button"))?.focus({ preventScroll: true });
    focused = asks?.given.focus ?? "";
    for (const still of document.querySelectorAll(`[data-sharekit="${CSS.escape(model.get("hides"))}"]`)) still.hidden = true;
  };
  const receive = (message, buffers) => {
    if (message.done) grid.waiting = false;
    else if (message.lines) grid.take(message);
    else if (message.next !== undefined) sendPiece(message.next);
    else if (message.file) save(message.file, buffers[0]);
  };
  const click = async (event) => {
    const target = event.target.closest("button");
    if (target?.given?.copy) {
      try {
        await navigator.clipboard.writeText(panel.querySelector(`#${CSS.escape(`${grid.id}-${target.given.copy}`)}`).textContent);
        target.textContent = "Copied";
      } catch {
        target.textContent = "Select the text and copy it";
      }
    } else if (target?.given?.do) tell(target.given.do, target.given.key, target.given.value);
  };
  // A file goes to Python in pieces, each when Python asks for it.
  let file;
  const upload = (files) => {
    if (!files.length) return;
    file = files[0];
    tell("upload", file.name, [file.size, files.length]);
  };
  const sendPiece = async (from) => {
    try {
      const piece = await file.slice(from, from + PIECE).arrayBuffer();
      model.send({ do: "piece", key: String(from), value: "", form: form() }, undefined, [piece]);
    } catch { // it was changed or taken away meanwhile
      model.send({ do: "piece", key: String(from), value: "", form: form() }, undefined, []);
    }
  };
  const drop = (event) => {
    if (!event.target.closest?.(".sk-drop")) return;
    event.preventDefault();
    if (event.type === "drop") upload(event.dataTransfer.files);
  };
  const change = ({ target }) => {
    if (target.type === "file") upload(target.files), (target.value = "");
    else if (target.given?.do) tell(target.given.do, target.given.key, target.type === "checkbox" ? target.checked : target.value);
  };
  // The notebook's own shortcuts (a, b, d d, r …) must not fire while somebody works in here.
  // Notebook 7 listens on the document before any element hears: only the window comes earlier.
  const guard = (event) => {
    const path = event.composedPath();
    if (!path.includes(panel)) return;
    event.stopImmediatePropagation();
    if (event.type !== "keydown") return;
    if (path[0] === grid.root && grid.key(event)) event.preventDefault();
    else if (event.key === "Enter" && path[0].given?.enter) tell(path[0].given.enter, path[0].given.key);
  };
  panel.addEventListener("click", click);
  panel.addEventListener("change", change);
  for (const kind of ["dragover", "drop"]) panel.addEventListener(kind, drop);
  for (const kind of ["keydown", "keypress"]) addEventListener(kind, guard, true);
  model.on("change:view", show);
  model.on("msg:custom", receive);
  show();
  return () => {
    for (const kind of ["keydown", "keypress"]) removeEventListener(kind, guard, true);
    model.off("change:view", show);
    model.off("msg:custom", receive);
  };
}

function save(name, bytes) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export default { render };
