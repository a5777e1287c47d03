// Sends the page's form with the key of this tab and puts the answer in place of what is shown. Nothing else.
const KEY = "llmrec-key";
const field = () => document.getElementById("key");

function restore() {
  if (field()) field().value = sessionStorage.getItem(KEY) ?? "";
}

function problem(words) {
  const results = document.getElementById("results");
  results.querySelector(".problem")?.remove();
  const told = document.createElement("p");
  told.className = "problem";
  told.setAttribute("role", "alert");
  told.textContent = words;
  results.prepend(told);
  results.removeAttribute("aria-busy");
}

async function ask(form, body) {
  const headers = {};
  if (field()?.value) {
    sessionStorage.setItem(KEY, field().value);
    headers.Authorization = `Bearer ${field().value}`;
  }
  const answer = await fetch(form.action, { method: "POST", body, headers });
  const type = answer.headers.get("content-type") ?? "";
  if (!type.startsWith("text/html")) {
    const said = type.startsWith("application/json") ? (await answer.json()).error?.message : await answer.text();
    throw new Error(`${answer.status}: ${said || answer.statusText}`);
  }
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const results = document.getElementById("results");
  results.setAttribute("aria-busy", "true");
  const pressed = event.submitter;
  const body = new URLSearchParams(new FormData(event.target));
  if (pressed?.name) body.append(pressed.name, pressed.value);
  try {
    const page = await ask(event.target, body);
    document.getElementById("main").replaceWith(document.importNode(page.getElementById("main"), true));
    restore();
    document.getElementById("results").focus({ preventScroll: pressed?.value?.startsWith("exclude:") });
  } catch (error) {
    problem(error.message);
  }
});

restore();
