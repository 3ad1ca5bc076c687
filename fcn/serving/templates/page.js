"use strict";
const part = id => document.getElementById(id);
const maxBytes = Number(document.body.dataset.maxBytes);
const most = document.body.dataset.most;
let latest = 0;       // the number of the picture that was given last
let shown = null;     // the answer that the page shows, and its picture's name
let score = null;     // of its answers the one that is drawn
let places = null;    // the class at each place of what is shown, row after row
let download = null;  // the address of the PNG

function say(text, bad = false) {
  part("message").textContent = text;
  part("message").className = bad ? "bad" : "";
  part("message").setAttribute("role", bad ? "alert" : "status");
}

// ---- asking

async function segment(file) {
  const number = ++latest;
  const name = file.name || "the picture";
  if (file.size > maxBytes) {
    part("busy").hidden = true;
    return say(`${name} has ${(file.size / 1e6).toFixed(1)} MB; ${most} are taken.`, true);
  }
  say(`Segmenting ${name} …`);
  part("busy").hidden = false;
  let text, answer = null;
  try {
    const response = await fetch("segment", {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    answer = await response.json();
    text = answer.error;
  } catch (error) {
    text = "The server gives no answer. Is fcn serve still running?";
  }
  if (number !== latest) return;  // another picture was given meanwhile
  part("busy").hidden = true;
  if (text) return say(`${name}: ${text}`, true);
  show({ ...answer, name });
}

// ---- showing

function show(answer) {
  shown = answer;
  const [width, height] = answer.shown;
  part("picture").src = `data:image/jpeg;base64,${answer.picture}`;
  part("picture").alt = answer.name;
  part("picture").width = part("overlay").width = width;
  part("picture").height = part("overlay").height = height;
  part("scores").replaceChildren(...answer.answers.map((one, index) => new Option(one.title || "score", index)));
  part("which").hidden = answer.answers.length < 2;
  // as large as fits into the window, and at most four times as large as it is
  part("stage").style.maxWidth = `min(${85 * width / height}vh, ${4 * width}px)`;
  part("about").textContent = `${answer.name}, ${answer.width}x${answer.height} pixels, ${duration(answer.seconds)}`;
  part("result").hidden = false;
  say("");
  choose(0);
}

function choose(index) {
  score = shown.answers[index];
  const [width, height] = shown.shown;
  places = new Uint8Array(width * height);
  for (let k = 0, at = 0; k < score.runs.length; k += 2) {
    places.fill(score.runs[k], at, at + score.runs[k + 1]);
    at += score.runs[k + 1];
  }
  part("legend").replaceChildren(...score.classes.map(row));
  const told = score.classes.map(one => `${one.name} ${percent(one.share)}`).join(", ");
  part("overlay").setAttribute("aria-label", `classes of ${shown.name}: ${told}`);
  if (download) URL.revokeObjectURL(download);
  const bytes = Uint8Array.from(atob(score.png), letter => letter.charCodeAt(0));
  download = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  part("download").href = download;
  const end = score.title ? `_${score.title}` : "";
  part("download").download = `${shown.name.replace(/\.[^.]*$/, "")}${end}_classes.png`;
  draw();
}

const duration = seconds => seconds < 1 ? `${Math.ceil(1000 * seconds)} ms` : `${seconds.toFixed(1)} s`;
const percent = share => `${(100 * share).toFixed(1)}%`;

function row(one) {
  const line = document.createElement("tr");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.background = one.color;
  const cells = [swatch, one.name, percent(one.share)].map(content => {
    const cell = document.createElement("td");
    cell.append(content);
    return cell;
  });
  cells[0].className = "color";
  line.append(...cells);
  line.tabIndex = 0;
  for (const event of ["pointerenter", "focus"]) line.addEventListener(event, () => draw(one.index));
  for (const event of ["pointerleave", "blur"]) line.addEventListener(event, () => draw());
  return line;
}

// The colours of all classes but the first, which is the background, or of one class alone
function draw(only = null) {
  const [width, height] = shown.shown;
  const context = part("overlay").getContext("2d");
  const image = context.createImageData(width, height);
  const colors = new Uint32Array(256);
  const bytes = new Uint8Array(colors.buffer);
  for (const { index, color } of score.classes) {
    if (only === null ? index === 0 : index !== only) continue;
    for (let k = 0; k < 3; k++) bytes[4 * index + k] = parseInt(color.slice(1 + 2 * k, 3 + 2 * k), 16);
    bytes[4 * index + 3] = 255;
  }
  const pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < pixels.length; k++) pixels[k] = colors[places[k]];
  context.putImageData(image, 0, 0);
  slide();
}

function slide() {
  part("overlay").style.opacity = part("strength").value / 100;
}

function point(event) {
  const box = part("overlay").getBoundingClientRect();
  const [width, height] = shown.shown;
  const x = Math.floor((event.clientX - box.left) / box.width * width);
  const y = Math.floor((event.clientY - box.top) / box.height * height);
  const tip = part("tip");
  tip.hidden = x < 0 || y < 0 || x >= width || y >= height;
  if (tip.hidden) return;
  const found = score.classes.find(one => one.index === places[y * width + x]);
  tip.textContent = found ? found.name : "";
  const left = event.clientX - box.left, top = event.clientY - box.top;
  tip.style.left = `${Math.min(left + 12, Math.max(0, box.width - tip.offsetWidth))}px`;
  tip.style.top = `${top > 44 ? top - 38 : top + 18}px`;
}

// ---- what people do

function given(files) {
  const file = [...(files || [])][0];
  if (file) segment(file);
}

part("file").addEventListener("change", event => {
  given(event.target.files);
  event.target.value = "";  // so that the same file may be chosen again
});
addEventListener("dragover", event => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", event => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
addEventListener("drop", event => {
  event.preventDefault();
  document.body.classList.remove("over");
  if (event.dataTransfer.files.length) given(event.dataTransfer.files);
  else say("That is no file. Save the picture, and drop the file.", true);
});
addEventListener("paste", event => given(event.clipboardData.files));
part("strength").addEventListener("input", slide);
part("scores").addEventListener("change", event => choose(Number(event.target.value)));
part("overlay").addEventListener("pointermove", point);
part("overlay").addEventListener("pointerdown", point);
part("overlay").addEventListener("pointerleave", () => { part("tip").hidden = true; });
