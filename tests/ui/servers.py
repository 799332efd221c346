"""What stands around the UI: an API that asks for a token or is started anew, and a proxy in front."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from tests.ports import free_port

_NGINX = """\
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {server}
  }}
}}
"""


@contextlib.contextmanager
def api_on(project: Path, port: int, environ: Mapping[str, str] | None = None) -> Iterator[str]:
    """The API of a project, as `pulpo api serve` has it, on this port."""
    command = [sys.executable, "-m", "pulpo", "-q", "api", "serve", "--port", str(port)]
    with _process(command, port, {**os.environ, **(environ or {})}, project):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def nginx(directory: Path, server: str) -> Iterator[str]:
    """nginx with a server that these lines say; gives its address."""
    path = shutil.which("nginx") or "/usr/sbin/nginx"
    assert Path(path).exists(), "no nginx: apt-get install nginx-light"
    port = free_port()
    config = directory / "nginx.conf"
    config.write_text(_NGINX.format(directory=directory, port=port, server=server))
    with _process([path, "-p", str(directory), "-c", str(config), "-e", str(directory / "error.log")], port, None, directory):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _process(command: list[str], port: int, environ: Mapping[str, str] | None, directory: Path) -> Iterator[None]:
    process = subprocess.Popen(command, env=environ, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until_it_answers(f"http://127.0.0.1:{port}", process)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def until_it_answers(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(address, timeout=5)
            return
        time.sleep(0.05)
    raise AssertionError(f"{process.args} did not start: {process.stderr.read().decode() if process.stderr else ''}")
