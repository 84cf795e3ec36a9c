// Brings files in parts: each part that broke off is gone on with, also after the page was loaded anew. Tells how far the deletion
// of a directory is, and ends it. The session's cookie says who asks.

const PART = 4 << 20;
const PAUSE_MS = 500;
const PAUSE_MS_MAX = 8_000;
// So many stages fit into an address.
const TOLD_MAX = 10;

const form = document.getElementById("upload");
const place = document.getElementById("upload-state");
const bar = document.getElementById("upload-bar");
const told = document.getElementById("upload-told");
const pause = document.getElementById("upload-pause");
const { files, path } = form?.dataset ?? {};

let goOn = null;

function tell(text, refused = false) {
  place.hidden = false;
  told.textContent = text;
  told.classList.toggle("refused", refused);
}

const at = (below, target) => `${files}${below}?path=${encodeURIComponent(target)}`;
const json = (body, headers = {}) => ({ method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });

class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? `The master answers ${status}.`);
    this.status = status;
    this.code = problem?.code;
  }
}

async function ask(address, options, heard = () => {}) {
  const answer = await fetch(address, options);
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, body);
  heard(answer.headers);
  return body;
}

// Loads the directory anew, with a receipt: the entry that says so, and the stages that came of it.
function showDone(entry, stages) {
  const query = new URLSearchParams(location.search);
  for (const name of ["after", "told"]) query.delete(name);
  query.set("path", path);
  if (entry) query.set("after", entry);
  for (const stage of stages.filter(Boolean).slice(-TOLD_MAX)) query.append("told", stage);
  location.assign(`${location.pathname}?${query}`);
}

const waiting = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What passes by itself: a master that is gone, a worker out of reach, a part that somebody else brought meanwhile.
const passes = (error) => !(error instanceof Refused) || error.status >= 502 && error.status <= 504 || error.code === "upload_offset";

async function patiently(act) {
  for (let ms = PAUSE_MS; ; ms = Math.min(ms * 2, PAUSE_MS_MAX)) {
    if (goOn) await goOn.promise;
    try {
      return await act();
    } catch (error) {
      if (!passes(error)) throw error;
      if (error.code !== "upload_offset") tell("The connection broke; going on as soon as there is one …");
      await waiting(ms);
    }
  }
}

// One file, from where it is known to be.
async function bring(file, replace, receipt) {
  const target = `${path === "/" ? "" : path}/${file.name}`;
  const key = `upload ${files} ${target} ${file.size} ${file.lastModified}`;
  const place = (upload) => at(`/uploads/${upload}`, target);
  let upload = localStorage.getItem(key);
  let there = 0;
  if (upload) {
    there = await patiently(() => ask(place(upload))).then(({ bytes }) => bytes, () => { upload = null; return 0; });
  }
  if (!upload) {
    ({ upload } = await patiently(() => ask(`${files}/uploads`, json({ path: target }), (headers) => (receipt.entry = headers.get("docklet-entry")))));
    localStorage.setItem(key, upload);
  }
  while (there < file.size) {
    const from = there;
    there = await patiently(async () => {
      const { bytes } = await ask(place(upload));
      if (bytes !== from) return bytes;
      const body = file.slice(from, from + PART);
      return (await ask(place(upload), { method: "PATCH", headers: { "upload-offset": from }, body })).bytes;
    });
    bar.value = there / file.size;
    tell(`${file.name}: ${Math.floor((there / file.size) * 100)} %`);
  }
  const guard = replace ? { "if-match": "*" } : {};
  try {
    await patiently(() => ask(`${files}/uploads/${upload}/finish`, json({ path: target, bytes: file.size }, guard), (headers) => receipt.stages.push(headers.get("docklet-stage"))));
  } finally {
    localStorage.removeItem(key);
  }
}

async function bringAll(list) {
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  const receipt = { entry: null, stages: [] };
  try {
    for (const file of list) {
      bar.value = 0;
      tell(`${file.name}: 0 %`);
      await bring(file, form.elements.replace.checked, receipt);
    }
    showDone(receipt.entry, receipt.stages);
  } catch (error) {
    tell(error.message, true);
    button.disabled = false;
  }
}

form?.elements.file.setAttribute("multiple", "");
form?.addEventListener("submit", (event) => {
  event.preventDefault();
  bringAll([...form.elements.file.files]);
});

pause?.addEventListener("click", () => {
  if (goOn) {
    goOn.resolve();
    goOn = null;
  } else {
    goOn = Promise.withResolvers();
    tell("Paused.");
  }
  pause.textContent = goOn ? "Go on" : "Pause";
});

// Files that are dropped anywhere on the page.
if (form) {
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    form.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || form.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    form.classList.remove("dropping");
    bringAll([...event.dataTransfer.files]);
  });
}

// A directory with all in it: each line of the answer says how many files are gone. Leaving the page ends it, as Stop does.
const deleting = { place: document.getElementById("delete-state"), told: document.getElementById("delete-told"), stop: document.getElementById("delete-stop") };
const counted = (count) => (count === 1 ? "1 file" : `${count.toLocaleString("en")} files`);

function tellDeleting(text, refused = false) {
  deleting.place.hidden = false;
  deleting.told.textContent = text;
  deleting.told.classList.toggle("refused", refused);
}

async function* linesOf(answer) {
  let rest = "";
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

async function deleteAll(address, name) {
  const cut = new AbortController();
  const stop = () => cut.abort();
  let gone = 0;
  tellDeleting(`Deleting ${name} …`);
  deleting.stop.hidden = false;
  deleting.stop.addEventListener("click", stop);
  try {
    const answer = await fetch(`${address}&all=true`, { method: "DELETE", headers: { accept: "application/x-ndjson" }, signal: cut.signal });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => null));
    for await (const line of linesOf(answer)) {
      if (line.problem) throw new Refused(answer.status, line.problem);
      if (line.files !== undefined) return showDone(answer.headers.get("docklet-entry"), []);
      gone = line.gone;
      tellDeleting(`Deleting ${name}: ${counted(gone)} gone …`);
    }
    throw new Error("The connection broke: look what is left, and delete it again.");
  } catch (error) {
    const what = cut.signal.aborted ? "Stopped." : error.message;
    tellDeleting(`${name}: ${what} ${counted(gone)} or more are gone, the rest is there.`, !cut.signal.aborted);
  } finally {
    deleting.stop.hidden = true;
    deleting.stop.removeEventListener("click", stop);
  }
}

document.addEventListener("submit", (event) => {
  const { dataset } = event.target;
  // The question comes first.
  if (!dataset.delete || !dataset.confirmed || event.defaultPrevented) return;
  event.preventDefault();
  document.querySelector("dialog[open]")?.close();
  deleteAll(dataset.delete, event.target.closest("tr").dataset.file);
});
