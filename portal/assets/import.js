// Sends the file of the import form as it is, piece by piece, and tells how far it is. The session's cookie says who asks.

const form = document.getElementById("import");
const bar = document.getElementById("import-progress");
const told = document.getElementById("import-told");

function tell(text, refused) {
  told.hidden = false;
  told.textContent = text;
  told.classList.toggle("refused", refused);
}

function send(path, file) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => { bar.value = loaded / total; });
    request.upload.addEventListener("load", () => tell("Sent. A worker checks it and packs it anew …", false));
    request.addEventListener("load", () => resolve(request));
    request.addEventListener("error", () => reject(new Error("The connection broke: try again.")));
    request.send(file);
  });
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, description, file } = form.elements;
  const query = new URLSearchParams({ description: description.value });
  const button = form.querySelector("button");
  button.disabled = true;
  bar.hidden = false;
  tell("Sending …", false);
  try {
    const answer = await send(`/api/v1/images/${encodeURIComponent(name.value)}/import?${query}`, file.files[0]);
    if (answer.status === 200) {
      tell(`${name.value} is there.`, false);
      form.reset();
    } else {
      tell(answer.response?.detail ?? "The master did not say why not.", true);
    }
  } catch (error) {
    tell(error.message, true);
  }
  bar.hidden = true;
  button.disabled = false;
});
