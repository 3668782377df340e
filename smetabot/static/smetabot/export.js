// Fetches an export and shows how far it is. Without this script the browser downloads the same file by itself.
// The answer is pieces, each after two numbers: the rows done so far, and its bytes. One of no bytes ends it; without
// that the file is not whole, and is not saved.

const form = document.getElementById("export");
const panel = document.getElementById("export-progress");
const bar = panel.querySelector("progress");
const [progress, end] = panel.querySelectorAll("p");
const cancel = panel.querySelector("button");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const buttons = form.querySelectorAll("button");
  const asked = new FormData(form);
  asked.set("format", event.submitter.value);
  asked.set("progress", "1");
  const stop = new AbortController();
  cancel.onclick = () => stop.abort();
  buttons.forEach((button) => (button.disabled = true));
  panel.hidden = cancel.hidden = false;
  bar.removeAttribute("value");
  progress.textContent = end.textContent = "";
  const read = { done: 0 };
  try {
    const response = await fetch(form.action, { method: "POST", body: asked, signal: stop.signal });
    const total = response.headers.get("X-Export-Rows");
    if (total === null) {
      // A refusal is a page, with a message that is shown but once: let the browser ask for it.
      const format = document.createElement("input");
      Object.assign(format, { type: "hidden", name: "format", value: event.submitter.value });
      form.append(format);
      form.submit();
      return;
    }
    bar.max = Math.max(1, total);
    const pieces = await readPieces(response.body.getReader(), read, () => {
      bar.value = read.done;
      say(progress, "done", read.done, total);
    });
    save(new Blob(pieces, { type: response.headers.get("X-Export-Type") }), fileName(response));
    bar.value = bar.max;
    say(end, "saved", read.done, total);
  } catch (error) {
    say(end, stop.signal.aborted ? "cancelled" : "broken", read.done, 0);
    if (!stop.signal.aborted) console.error(error);
  } finally {
    buttons.forEach((button) => (button.disabled = false));
    cancel.hidden = true;
  }
});

async function readPieces(reader, read, tell) {
  let left = new Uint8Array();
  const pieces = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The stream ended before the file did.");
    left = joined(left, value);
    while (left.length >= 8) {
      const header = new DataView(left.buffer, left.byteOffset);
      const length = header.getUint32(4);
      if (left.length < 8 + length) break;
      read.done = header.getUint32(0);
      if (length === 0) return pieces;
      // The browser keeps blobs where there is room; arrays would fill the page's memory.
      pieces.push(new Blob([left.subarray(8, 8 + length)]));
      left = left.slice(8 + length);
      tell();
    }
  }
}

function joined(first, second) {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function fileName(response) {
  return /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition"))[1];
}

function say(where, what, done, total) {
  const number = (value) => Number(value).toLocaleString(document.documentElement.lang);
  where.textContent = panel.dataset[what].replace("{done}", number(done)).replace("{total}", number(total));
}
