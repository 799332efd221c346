// The log of a service, followed: what came since is asked for every second while somebody looks, and put at the end.
const EVERY = 1000;
const KEPT = 5000;
// How near the end counts as being there, in pixels.
const NEAR = 24;
const log = document.getElementById('log');
const filter = document.getElementById('log-filter');
const pause = document.getElementById('log-pause');
const state = document.getElementById('log-state');
let next = log.dataset.next;

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
}

function toEnd() {
  log.scrollTop = log.scrollHeight;
}

function show(line) {
  line.hidden = !line.textContent.toLowerCase().includes(filter.value.trim().toLowerCase());
}

function add(html) {
  const wasAtEnd = isAtEnd();
  const template = document.createElement('template');
  template.innerHTML = html;
  const lines = [...template.content.children];
  lines.forEach(show);
  log.append(...lines);
  while (log.children.length > KEPT) log.firstElementChild.remove();
  if (wasAtEnd) toEnd();
}

function say(text) {
  if (state.textContent !== text) state.textContent = text;
}

async function follow() {
  if (pause.getAttribute('aria-pressed') === 'true') say('paused');
  else if (!document.hidden) {
    try {
      const answer = await fetch(`${log.dataset.url}?after=${encodeURIComponent(next)}`);
      if (answer.headers.has('X-Next')) {
        next = answer.headers.get('X-Next');
        add(await answer.text());
        say('following');
      } else say('waiting for the API…');
    } catch {
      say('waiting for the UI…');
    }
  }
  setTimeout(follow, EVERY);
}

pause.hidden = false;
pause.addEventListener('click', () => {
  const paused = pause.getAttribute('aria-pressed') !== 'true';
  pause.setAttribute('aria-pressed', paused);
  say(paused ? 'paused' : 'following');
});
filter.addEventListener('input', () => {
  for (const line of log.children) show(line);
  toEnd();
});
document.getElementById('log-end').addEventListener('click', toEnd);

toEnd();
say('following');
setTimeout(follow, EVERY);
