"""A service for tests: what it does is said by words, in any order, before the port, where 0 is none.

`python service.py [slow] [deaf] [child] [hidden] [crash] [done] PORT`
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(3)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def child(*, hidden: bool) -> None:
    """A process that goes on when its parent does not, in a session of its own; hidden ones forget their environment."""
    sleeping = subprocess.Popen(
        [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"],
        start_new_session=True,
        env={} if hidden else None,
    )
    print(f"child {sleeping.pid}", flush=True)


def main(words: list[str], port: int) -> None:
    print(f"begun {os.environ.get('SAID', '')}", flush=True)
    if "deaf" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "child" in words or "hidden" in words:
        child(hidden="hidden" in words)
    if "crash" in words:
        sys.exit("no database here")
    if "done" in words:
        return
    if "slow" in words:
        time.sleep(600)
    if port:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("at your service", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:-1], int(sys.argv[-1]))
