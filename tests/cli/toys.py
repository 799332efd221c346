"""Services for tests of commands: small programs in a project of their own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from pulpo.services.local import LocalServices
from tests.cli.conftest import Shell
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Answers every request with 200, on $PORT or the port that Prefect's server is given, when the file `go` is there.
SERVER = """
import http.server, os, pathlib, sys, time
from tests.ports import free_port

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass

while "wait" in sys.argv and not pathlib.Path("go").exists():
    time.sleep(0.02)
if "crash" in sys.argv:
    sys.exit("no luck today")
print("at your service", os.environ.get("SAID", ""), flush=True)
port = os.environ.get("PORT") or os.environ["PREFECT_SERVER_API_PORT"]
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""

#: What can be wrong with a lock whose services run: it becomes another text.
BROKEN: dict[str, Callable[[str], str]] = {
    "unknown key": lambda text: text.replace("services:", "sevrices:"),
    "broken rule": lambda text: text + '  api: {ports: ["0.0.0.0:8000"]}\n',
    "unset variable": lambda text: text + '  more: {command: [python, server.py], ports: ["${NOT_SET}"]}\n',
    "wrong setting": lambda text: text + "  api: {environment: {PULPO_API_PORT: soon}}\n",
    "no YAML": lambda text: text + "  : {",
}


class Toys(Shell):
    """A project with services, and `pulpo` in it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        (directory / "server.py").write_text(SERVER)
        self.services = LocalServices(directory / "run_cache")

    def lock(self, services: str, project: str = "{name: toys}") -> None:
        """Write the lock; `PORT` in the text is a port that is free, another one each time."""
        while "PORT" in services:
            services = services.replace("PORT", str(free_port()), 1)
        (self.directory / "pulpo.lock.yaml").write_text(f"version: 1\nproject: {project}\nservices:\n{services}")

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `pulpo`, and don't wait for it."""
        command = [sys.executable, "-m", "pulpo", *arguments]
        return subprocess.Popen(command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def on_terminal(self, *arguments: str, said: bytes = b"") -> tuple[int, str]:
        """Run `pulpo` with a terminal for all its streams, on which `said` is typed; its exit code, and all that was shown."""
        leader, follower = pty.openpty()
        environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", "COLUMNS": "100"}
        command = [sys.executable, "-m", "pulpo", *arguments]
        with subprocess.Popen(
            command, cwd=self.directory, stdin=follower, stdout=follower, stderr=follower, env=environment
        ) as process:
            os.close(follower)
            os.write(leader, said)
            text = b""
            watch = threading.Timer(60, process.send_signal, [signal.SIGKILL])
            watch.start()
            try:
                while chunk := os.read(leader, 65536):
                    text += chunk
            except OSError:  # the other end is closed
                pass
            watch.cancel()
            os.close(leader)
            return process.wait(20), text.decode().replace("\r\n", "\n")

    def end(self) -> None:
        """Stop what runs."""
        for name in self.services.names():
            self.services.stop(name)
