"""The project's own Prefect server is asked without Prefect's client, and only where that would do the same."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path

import pytest

from pulpo.apply.prefect.api import RefusedError
from pulpo.apply.prefect.direct import direct
from pulpo.manifest.model import Manifest

KEY = 'active = "mine"\n[profiles.mine]\nPREFECT_API_KEY = "x"\n'
VERSION = metadata.version("prefect")
NO_TOKENS = (422, {"detail": "CSRF protection is disabled."})
_WITHOUT_PREFECT = """
import asyncio, sys
from pulpo.apply.prefect.direct import direct
from pulpo.manifest.model import Manifest

async def main():
    manifest = Manifest.model_validate({"version": 1, "project": {"name": "toys"}, "services": {"prefect": {"ports": [sys.argv[1]]}}})
    async with direct(manifest, {}, {}) as api:
        await api.request("GET", "/work_pools/x")

asyncio.run(main())
print("prefect" in sys.modules)
"""


@pytest.fixture(autouse=True)
def nothing_set(tmp_path, monkeypatch):
    """No settings of Prefect's: neither in the home directory nor in the current one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def answers():
    """What a server answers by path, and the manifest of the project whose own one it is."""
    known = {"/api/admin/version": (200, VERSION), "/api/csrf-token": NO_TOKENS, "/api/work_pools/x": (200, {"fine": True})}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = known[self.path.partition("?")[0]]
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
        yield known, own(server.server_port)
        server.shutdown()
        thread.join()


def own(port: int) -> Manifest:
    services = {"prefect": {"ports": [str(port)]}}
    return Manifest.model_validate({"version": 1, "project": {"name": "toys"}, "services": services})


def elsewhere(uri: str) -> Manifest:
    return Manifest.model_validate({"version": 1, "project": {"name": "toys"}, "services": {"prefect": {"uri": uri}}})


async def is_direct(manifest: Manifest, environ: dict[str, str] | None = None) -> bool:
    async with direct(manifest, {}, environ or {}) as api:
        return api is not None


async def test_the_own_server_is_asked_and_its_refusals_are_told(answers):
    known, manifest = answers
    async with direct(manifest, {}, {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PATH": "/bin"}) as api:
        assert api is not None
        assert await api.request("GET", "/work_pools/x") == {"fine": True}
        known["/api/work_pools/x"] = (404, {"detail": "there is none"})
        with pytest.raises(RefusedError) as refused:
            await api.request("GET", "/work_pools/x")
    assert (refused.value.status, refused.value.detail) == (404, "there is none")


def test_prefect_is_not_imported_for_it(answers, tmp_path):
    port = answers[1].services["prefect"].ports[0]
    command = [sys.executable, "-c", _WITHOUT_PREFECT, str(port)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


async def test_so_is_the_server_that_the_manifest_names(answers):
    address = f"http://127.0.0.1:{answers[1].services['prefect'].ports[0]}"
    for uri in (address, f"{address}/", f"{address}/api", "${SERVER}"):
        async with direct(elsewhere(uri), {}, {"SERVER": address}) as api:
            assert api is not None, uri
            assert api.url == f"{address}/api"
    for uri in (address.replace("//", "//me:secret@"), address.replace("http", "https"), "${NOT_SET}", "http://", "x"):
        assert not await is_direct(elsewhere(uri)), uri


@pytest.mark.parametrize(
    "name", ["PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "prefect_client_custom_headers", "PREFECT_PROFILE"]
)
async def test_variables_that_prefects_client_may_heed_are_left_to_it(answers, name):
    assert not await is_direct(answers[1], {name: "x"})


async def test_the_server_that_the_variable_names_goes_before_the_own_one(answers):
    url = f"http://127.0.0.1:{answers[1].services['prefect'].ports[0]}/api"
    async with direct(own(9), {}, {"PREFECT_API_URL": f"{url}/"}) as api:
        assert api is not None
        assert api.url == url
    for other in (url.replace("//", "//me:secret@"), url.replace("http", "https"), "http://[", ""):
        assert not await is_direct(own(9), {"PREFECT_API_URL": other})


async def test_profiles_are_looked_for_where_prefects_home_is(answers, tmp_path):
    home = {"PREFECT_HOME": str(tmp_path / "home")}
    assert await is_direct(answers[1], home)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "profiles.toml").write_text(KEY)
    assert not await is_direct(answers[1], home)


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        (".prefect/profiles.toml", KEY, False),
        (".prefect/profiles.toml", "active = [1]\nprofiles = 1\n", False),
        (".prefect/profiles.toml", KEY.replace("mine", "other", 1), True),
        (".prefect/profiles.toml", '[profiles.ephemeral]\nPREFECT_SERVER_EPHEMERAL_ENABLED = "true"\n', True),
        (".prefect/profiles.toml", 'active = "local"\n[profiles.local]\nPREFECT_API_URL = "http://x/api"\n', True),
        ("prefect.toml", "", False),
        (".env", "export Prefect_api_key=x", False),
        (".env", "TOKEN=x", True),
        ("pyproject.toml", "[tool.prefect.api]\n", False),
        ("pyproject.toml", "[tool.", False),
        ("pyproject.toml", '[project]\nname = "prefect"\n', True),
    ],
)
async def test_files_that_prefects_client_may_heed_are_left_to_it(answers, nothing_set: Path, file, text, expected):
    (nothing_set / file).parent.mkdir(exist_ok=True)
    (nothing_set / file).write_text(text)
    assert await is_direct(answers[1]) is expected


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/admin/version", (401, {"detail": "Unauthorized"})),
        ("/api/admin/version", (200, "2.20.1")),
        ("/api/admin/version", (200, {"no": "version"})),
        ("/api/csrf-token", (200, {"token": "abc"})),
        ("/api/csrf-token", (422, {"detail": "something else"})),
    ],
)
async def test_a_server_that_wants_more_or_is_another_is_left_to_prefects_client(answers, path, answer):
    known, manifest = answers
    assert await is_direct(manifest)
    known[path] = answer
    assert not await is_direct(manifest)


async def test_a_server_that_is_not_there_or_elsewhere_is_left_to_prefects_client():
    assert not await is_direct(own(9))
    elsewhere = {"version": 1, "project": {"name": "toys"}, "services": {"prefect": {"uri": "http://127.0.0.1:4200/api"}}}
    assert not await is_direct(Manifest.model_validate(elsewhere))
