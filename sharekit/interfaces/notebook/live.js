// A region of escaped HTML from Python. Its buttons, boxes and lists speak to Python; nothing is
// decided here. An element says what it means in data-do, data-key and data-value.
function speak(model, target, value) {
  model.send({ do: target.dataset.do, key: target.dataset.key ?? "", value });
}

const PARTS = [
  ["thead, .sk-rows tbody", "rowgroup"], ["tr", "row"], ["th", "columnheader"], ["td", "cell"],
];

function render({ model, el }) {
  const body = document.createElement("div");
  el.append(body);

  const show = () => {
    const inside = body.contains(document.activeElement) ? document.activeElement : null;
    const held = inside?.dataset.id;
    const open = [...body.querySelectorAll("details[open][id]")].map((one) => one.id);
    const role = model.get("role");
    if (role) body.setAttribute("role", role);
    body.innerHTML = model.get("html");
    for (const id of open) body.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
    for (const table of body.querySelectorAll(".sk-rows")) table.setAttribute("role", "table");
    for (const box of body.querySelectorAll("[data-some]")) box.indeterminate = true;
    // Laid out as cards on a narrow page, a table still tells its rows and cells.
    for (const [part, role] of PARTS) {
      for (const one of body.querySelectorAll(`.sk-rows ${part}`)) one.setAttribute("role", role);
    }
    if (inside) {
      const same = held && body.querySelector(`[data-id="${CSS.escape(held)}"]:not([disabled])`);
      const next = same || body.querySelector("[tabindex='-1'][data-rest]");
      next?.focus({ preventScroll: true });
    }
  };
  const click = async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      const text = body.querySelector(`#${CSS.escape(copy.dataset.copy)}`).textContent;
      try {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      } catch {
        copy.textContent = "Select the text and copy it";
      }
      return;
    }
    const button = event.target.closest("button[data-do]");
    if (button) speak(model, button, button.dataset.value ?? "");
  };
  const change = (event) => {
    const field = event.target.closest("[data-do]");
    if (!field || field.tagName === "BUTTON") return;
    speak(model, field, field.type === "checkbox" ? field.checked : field.value);
  };
  // The notebook's own shortcuts (a, b, d d, r …) must not fire while somebody works in here.
  // Notebook 7 listens on the document before any element hears: only the window comes earlier.
  let root = null;
  const guard = (event) => {
    if (root?.contains(event.target)) event.stopImmediatePropagation();
  };
  const attach = () => {
    root = el.closest(".sharekit-panel");
    if (!root) return void requestAnimationFrame(attach);
    addEventListener("keydown", guard, true);
    addEventListener("keypress", guard, true);
    for (const still of document.querySelectorAll(`[data-sharekit="${model.get("hides")}"]`)) {
      still.hidden = true;
    }
  };

  body.addEventListener("click", click);
  body.addEventListener("change", change);
  model.on("change:html", show);
  model.on("change:redraws", show);
  show();
  if (model.get("guards_keys")) requestAnimationFrame(attach);
  return () => {
    removeEventListener("keydown", guard, true);
    removeEventListener("keypress", guard, true);
    model.off("change:html", show);
    model.off("change:redraws", show);
  };
}

export default { render };
