"""A server that is busy, or says no, as the client of the real one sees it."""

from __future__ import annotations

import http.server
import json
import threading
import time

import pytest

from pulpo.apply.prefect.api import RefusedError, connect


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """The status and body of each answer that a server will give, the last one again and again; the URL is Prefect's."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))  # Prefect reads it when it is imported, which may be now
    from prefect.settings import PREFECT_API_URL, temporary_settings

    queue: list[tuple[int, object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api"}):
            yield queue
        server.shutdown()
        thread.join()


async def test_a_busy_server_is_asked_again_without_seconds_of_sleep(answers):
    answers += [(503, {"exception_message": "Service Unavailable"})] * 3 + [(429, {}), (200, {"fine": True})]
    started = time.monotonic()
    async with connect() as api:
        assert await api.request("GET", "/work_pools/x") == {"fine": True}
    assert time.monotonic() - started < 1.9  # what Prefect's client sleeps after the first 503


async def test_a_refusal_says_what_the_server_says(answers):
    answers.append((409, {"detail": "the name is taken"}))
    async with connect() as api:
        with pytest.raises(RefusedError) as refused:
            await api.request("GET", "/work_pools/x")
    assert (refused.value.status, refused.value.detail) == (409, "the name is taken")
