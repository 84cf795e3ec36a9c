// The page of a service that does not answer yet: it looks again, says how it is now, and goes over as soon as there is an
// answer of the service's own. Without scripts the page is loaded anew instead.

const again = 1000 * Number(document.querySelector("main").dataset.again);

async function look() {
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual", cache: "no-store" });
    if (answer.headers.get("docklet-proxy") !== "own" || answer.status !== 503) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
  } catch {
    // No master answers: one may in a moment.
  }
  setTimeout(look, again);
}

setTimeout(look, again);
