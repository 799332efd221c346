// One stream of events for all tabs of a browser: it opens at most six connections to a server that speaks HTTP/1.1.
import { stream } from './stream.js';

const ports = new Set();
let state;

function tell(message) {
  if (message.state) state = message;
  for (const port of ports) port.postMessage(message);
}

function begin(url) {
  state = { state: 'off' };
  stream(url, tell);
}

self.onconnect = ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data === 'bye') ports.delete(port);
    else if (state) port.postMessage(state);
    else begin(data);
  };
};
