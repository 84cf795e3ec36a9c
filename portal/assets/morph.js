// Makes a part of the page look as a fresh one, and leaves alone what is the same in both: so the focus, marked text, what is
// scrolled, what is folded out, and what somebody has begun to fill in stay where they are. An element becomes another one only
// if both are for the same: the row of a vnode never becomes another vnode's, and no button does something else than before.

export function morph(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const root = isSame(old, fresh) ? old : fresh;
  if (root === fresh) old.replaceWith(fresh);
  else follow(old, fresh);
  // What was moved has lost the focus on the way.
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  return root;
}

function follow(old, fresh) {
  const field = old.matches("input, select, textarea") ? kept(old, fresh) : null;
  followAttributes(old, fresh);
  followChildren(old, fresh);
  field?.();
}

function followAttributes(old, fresh) {
  // What is folded out was so by the reader.
  const stays = (name) => name === "open" && old.localName === "details";
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !stays(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function followChildren(old, fresh) {
  const left = [...old.childNodes];
  const pairs = [...fresh.childNodes].map((child) => {
    const at = left.findIndex((one) => isSame(one, child));
    return [at < 0 ? null : left.splice(at, 1)[0], child];
  });
  for (const child of left) child.remove();
  let next = old.firstChild;
  for (const [same, child] of pairs) {
    const placed = same ?? child;
    if (placed === next) next = next.nextSibling;
    else old.insertBefore(placed, next);
    if (!same) continue;
    if (same.nodeType === Node.ELEMENT_NODE) follow(same, child);
    else if (same.data !== child.data) same.data = child.data;
  }
}

function isSame(old, fresh) {
  if (old.nodeType !== fresh.nodeType) return false;
  return old.nodeType !== Node.ELEMENT_NODE || (old.localName === fresh.localName && purpose(old) === purpose(fresh));
}

// What an element is for, by which it is known again.
function purpose(element) {
  if (element.id) return element.id;
  const of = (...names) => names.map((name) => element.getAttribute(name) ?? "").join(" ");
  switch (element.localName) {
    case "a":
      return of("href");
    case "form":
      return `${of("action")} ${[...element.querySelectorAll("input[type=hidden]")].map(({ name, value }) => (name === "csrf" ? "" : `${name}=${value}`)).join(" ")}`;
    case "button":
      return `${of("name", "value", "aria-label")} ${element.textContent}`;
    case "input":
    case "select":
    case "textarea":
      return of("type", "name");
    default:
      return [...element.attributes].find(({ name }) => name.startsWith("data-"))?.value ?? "";
  }
}

// What somebody has begun to fill in stays as they have it; answers what sets that once the field looks like the fresh one.
function kept(old, fresh) {
  if (old.type === "hidden" || old.type === "file") return null;
  const edited = isEdited(old);
  if (old.type === "checkbox" || old.type === "radio") {
    const { checked } = edited ? old : fresh;
    return () => (old.checked = checked);
  }
  const { value } = edited ? old : fresh;
  return () => {
    const possible = !old.options || [...old.options].some((option) => option.value === value);
    const wanted = possible ? value : fresh.value;
    if (old.value !== wanted) old.value = wanted;
  };
}

function isEdited(field) {
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (!field.options) return field.value !== field.defaultValue;
  const usual = [...field.options].find((option) => option.defaultSelected) ?? field.options[0];
  return field.value !== usual?.value;
}
