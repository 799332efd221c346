// For what no event tells of, such as how services are: `pulpo:tick` at the body every few seconds, while somebody looks.
const EVERY = 3000;

function tick() {
  if (!document.hidden) document.body.dispatchEvent(new CustomEvent('pulpo:tick'));
}

setInterval(tick, EVERY);
document.addEventListener('visibilitychange', tick);
