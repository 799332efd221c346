"""A real server of a project's API: `serving(directory)` gives its address; run as a program, it is the server."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


@contextlib.contextmanager
def serving(directory: Path, environ: dict[str, str] | None = None) -> Iterator[str]:
    """The API of the project in a directory, under uvicorn, in a process of its own."""
    from tests.ports import free_port  # which the process itself can't import

    port = free_port()
    environment = {**os.environ, **(environ or {})}
    process = subprocess.Popen([sys.executable, __file__, str(directory), str(port)], env=environment, cwd=directory)
    try:
        end = time.monotonic() + 60
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        assert process.poll() is None, "the server did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextlib.contextmanager
def running(app: FastAPI, host: str = "127.0.0.1") -> Iterator[int]:
    """An application under uvicorn, on a thread of this process; gives its port."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host=host, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def main(directory: Path, port: int) -> None:
    import uvicorn

    from pulpo.api.app import create_app
    from pulpo.declare.discover import add_to_path
    from pulpo.manifest.load import load
    from pulpo.settings import find_project
    from pulpo.store.sqlite import SqliteStore

    project = find_project(directory)
    add_to_path(project.root)
    manifest, document = load(project.lock_path, project.lock_shown)
    app = create_app(manifest, SqliteStore(project.store_path), document=document, project=project)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
