"""Who may call the API, what a request may ask for, and what is said of it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import socket

import httpx
import psutil
import pytest

from pulpo.api.app import create_app
from pulpo.api.listening import JsonLines
from pulpo.api.settings import Settings, read_settings
from pulpo.errors import UsageError
from pulpo.store.sqlite import SqliteStore
from tests.api.conftest import client_of, manifest_of
from tests.api.running import running
from tests.api.shop import MODELS

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def app(tmp_path):
    """Makes an application with settings, and with routes for tests."""

    def _app(**settings):
        made = create_app(manifest_of({}), SqliteStore(tmp_path / "store.db"), settings=Settings(**settings))

        @made.post("/echo")
        async def echo(body: dict) -> dict:
            return body

        @made.get("/slow")
        async def slow() -> None:
            await asyncio.sleep(60)

        @made.get("/broken")
        async def broken() -> None:
            raise ZeroDivisionError("the password is s3cret")

        return made

    return _app


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_without_a_token_this_machine_may_everything(app):
    async with client_of(app()) as client:
        assert (await client.get("/models")).status_code == 200
        assert (await client.post("/echo", json={"a": 1})).json() == {"a": 1}


@pytest.mark.parametrize(
    ("token", "get", "post"),
    [(None, 401, 401), ("wrong", 401, 401), ("", 401, 401), ("reads", 200, 403), ("writes", 200, 200)],
)
async def test_with_tokens_each_lets_in_for_its_own(app, token, get, post):
    async with client_of(app(token="writes", read_token="reads")) as client:
        headers = {} if token is None else bearer(token)
        assert (await client.get("/models", headers=headers)).status_code == get
        answer = await client.post("/echo", json={}, headers=headers)
        assert answer.status_code == post
        assert (answer.headers.get("WWW-Authenticate") is not None) == (post == 401)
        if post != 200:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == post


async def test_with_the_reading_token_alone_nobody_writes(app):
    async with client_of(app(read_token="reads")) as client:
        assert (await client.get("/models", headers=bearer("reads"))).status_code == 200
        assert (await client.post("/echo", json={}, headers=bearer("reads"))).status_code == 403
        assert (await client.post("/echo", json={}, headers=bearer(""))).status_code == 401


async def test_whether_it_works_is_told_without_a_token(app):
    async with client_of(app(token="writes")) as client:
        assert (await client.get("/health/live")).json() == {"status": "ok"}
        assert (await client.get("/health/ready")).json() == {"status": "ok", "store": "ok", "manifest": "ok"}
        for path in ("/metrics", "/openapi.json", "/health", "/health/ready/"):
            assert (await client.get(path)).status_code == 401, path


async def test_not_ready_while_the_store_is_closed(app):
    made = app()
    async with client_of(made) as client:
        await made.state.context.store.close()
        answer = await client.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"status": "failed", "store": "failed", "manifest": "ok"}
        assert (await client.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:8000", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example@localhost", 421),
        ("[::1", 421),
    ],
)
async def test_a_name_that_means_this_machine_by_trickery_is_refused(app, host, status):
    """DNS rebinding: a page of evil.example, whose name now resolves to 127.0.0.1."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url=HERE) as client:
        assert (await client.get("/health/live", headers={"Host": host})).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:20123", 200),
        ("[::1]:8000", 200),
        ("api:8000", 200),
        ("api", 200),
        ("ui.example:3000", 200),
        ("ui.example", 421),
        ("evil.example:8000", 421),
        ("evil.example", 421),
        ("api.", 421),
        ("api@evil.example", 421),
        ("evil.example@api", 421),
        ("172.18.0.1.evil.example", 421),
        ("", 421),
    ],
)
async def test_in_a_container_a_name_that_means_it_by_trickery_is_refused(app, host, status):
    """DNS rebinding through the published port: the connection comes to the container's own address."""
    made = app(open=True, origins="http://ui.example:3000,*")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://172.18.0.5:8000") as client:
        assert (await client.get("/health/live", headers={"Host": host})).status_code == status
    made = app(open=True, token="writes")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(made), base_url="http://172.18.0.5:8000") as client:
        assert (await client.get("/models", headers={"Host": host, **bearer("writes")})).status_code == 200


@pytest.fixture
def elsewhere():
    """An address of this machine that others reach it at."""
    found = [one.address for several in psutil.net_if_addrs().values() for one in several if one.family is socket.AF_INET]
    address = next((one for one in found if not ipaddress.ip_address(one).is_loopback), None)
    return address or pytest.skip("this machine has no network")


@pytest.mark.parametrize("host", ["0.0.0.0", "elsewhere"])
def test_under_a_server_that_others_reach_they_are_answered_with_a_token_alone(tmp_path, monkeypatch, elsewhere, host):
    """`uvicorn --host 0.0.0.0` of an application that somebody made without settings: they are those of the environment."""

    def app():
        return create_app(manifest_of({"Note": MODELS["Note"]}), SqliteStore(tmp_path / "store.db"))

    def asked(port, address, **headers):
        place = f"http://{address}:{port}"
        with httpx.Client(base_url=place, headers=headers, trust_env=False) as client:
            health, made = client.get("/health/live"), client.post("/models/Note/records", json={"text": "x"})
            assert health.status_code in (200, made.status_code)
            return made

    monkeypatch.delenv("PULPO_API_TOKEN", raising=False)
    listening = elsewhere if host == "elsewhere" else host
    with running(app(), listening) as port:
        refused = asked(port, elsewhere)
        assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/problem+json")
        assert refused.json()["detail"] == f"without a token the API answers this machine alone, not what comes to: {elsewhere}"
        assert refused.json()["hint"].startswith("set PULPO_API_TOKEN (may read and write), PULPO_API_READ_TOKEN (may read)")
        assert asked(port, elsewhere, Host="127.0.0.1").status_code == 403
        if listening == "0.0.0.0":
            assert asked(port, "127.0.0.1").status_code == 201
    monkeypatch.setenv("PULPO_API_TOKEN", "writes")
    with running(app(), listening) as port:
        assert asked(port, elsewhere).status_code == 401
        assert asked(port, elsewhere, **bearer("writes")).status_code == 201
    monkeypatch.delenv("PULPO_API_TOKEN")
    monkeypatch.setenv("PULPO_API_OPEN", "true")
    with running(app(), listening) as port:
        assert asked(port, elsewhere, Host="api:8000").status_code == 201


@pytest.mark.parametrize(
    ("server", "status"),
    [
        (None, 200),
        (("/run/pulpo.sock", None), 200),
        (("testserver", 80), 200),
        (("127.0.0.2", 80), 200),
        (("::ffff:127.0.0.1", 80), 200),
        (("::ffff:192.0.2.1", 80), 403),
        (("2001:db8::1", 80), 403),
        (("fe80::1%eth0", 80), 403),
    ],
)
async def test_what_a_server_says_of_itself_tells_who_reaches_it(app, server, status):
    made = app()

    async def under(scope, receive, send):
        await made({**scope, "server": server}, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(under), base_url="http://localhost") as client:
        assert (await client.get("/health/live")).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8000", 200), ("http://ui.example", 200), ("http://evil.example", 403), ("null", 403)],
)
async def test_pages_of_others_change_nothing(app, origin, status):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(origins="http://ui.example")), base_url=HERE) as client:
        assert (await client.post("/echo", json={}, headers={"Origin": origin})).status_code == status


async def test_pages_of_named_origins_alone_may_read(app):
    async with client_of(app(origins="http://ui.example, http://other.example", token="writes")) as client:
        asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        allowed = await client.options("/models", headers={"Origin": "http://ui.example", **asked})
        assert allowed.status_code == 200
        assert allowed.headers["Access-Control-Allow-Origin"] == "http://ui.example"
        refused = await client.get("/models", headers={"Origin": "http://other.example"})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (401, "http://other.example")
        evil = await client.get("/models", headers={"Origin": "http://evil.example", **bearer("writes")})
        assert "Access-Control-Allow-Origin" not in evil.headers
    async with client_of(app()) as client:
        closed = await client.get("/models", headers={"Origin": "http://ui.example"})
        assert "Access-Control-Allow-Origin" not in closed.headers


async def test_a_body_that_is_too_large_is_refused(app):
    async with client_of(app(max_body=1000)) as client:
        fits = {"a": "x" * 900}
        assert (await client.post("/echo", json=fits)).json() == fits
        said = await client.post("/echo", json={"a": "x" * 1000})
        assert (said.status_code, said.json()["detail"]) == (413, "a body may have 1000 bytes")

        async def parts():
            yield b'{"a": "'
            for _ in range(100):
                yield b"x" * 100
            yield b'"}'

        answer = await client.post("/echo", content=parts(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["title"]) == (413, "Content Too Large")


async def test_an_answer_has_to_begin_in_time(app):
    async with client_of(app(timeout=0.1)) as client:
        answer = await client.get("/slow")
        assert (answer.status_code, answer.json()["detail"]) == (503, "this took longer than 0.1 s")
        assert answer.headers["Retry-After"]


async def test_each_request_has_an_id(app):
    async with client_of(app()) as client:
        given = await client.get("/nothing", headers={"X-Request-ID": "abc-1"})
        assert given.headers["X-Request-ID"] == "abc-1" == given.json()["request_id"]
        made = [(await client.get("/models")).headers["X-Request-ID"] for _ in range(2)]
        assert made[0] != made[1]
        bad = await client.get("/models", headers={"X-Request-ID": 'x" injected'})
        assert bad.headers["X-Request-ID"] not in ("", 'x" injected')


async def test_what_breaks_says_nothing_but_its_id(app, caplog):
    async with client_of(app()) as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert "s3cret" not in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]
    assert "ZeroDivisionError" in caplog.text


async def test_each_request_leaves_a_line(app, caplog):
    with caplog.at_level(logging.INFO, "pulpo.api.access"):
        async with client_of(app(token="s3cret")) as client:
            await client.get("/runs?flow=private", headers={"X-Request-ID": "r1", **bearer("s3cret")})
            await client.get("/models", headers=bearer("almost-s3cret"))
    lines = [json.loads(JsonLines().format(r)) for r in caplog.records if r.name == "pulpo.api.access"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("GET", "/runs", 200),
        ("GET", "/models", 401),
    ]
    assert lines[0]["request_id"] == "r1"
    assert lines[0]["ms"] > 0
    assert lines[0]["bytes"] > 0
    assert "private" not in str(lines)
    assert "s3cret" not in str(lines)


async def test_what_probes_ask_leaves_a_line_only_if_it_is_not_well(app, caplog, monkeypatch):
    with caplog.at_level(logging.INFO, "pulpo.api.access"):
        async with client_of(app()) as client:
            assert (await client.get("/health/live")).status_code == 200
            assert (await client.get("/health/ready")).status_code == 200
            assert (await client.get("/health/nothing")).status_code == 404
            monkeypatch.setattr("pulpo.api.health._SECONDS", 0)
            assert (await client.get("/health/ready")).status_code == 503
    lines = [(r.fields["path"], r.fields["status"]) for r in caplog.records if r.name == "pulpo.api.access"]
    assert lines == [("/health/nothing", 404), ("/health/ready", 503)]


async def test_metrics_count_by_route_not_by_path(app):
    async with client_of(app()) as client:
        for name in ("A", "B"):
            await client.get(f"/models/{name}")
        await client.get("/nothing/here")
        await client.request("BREW", "/models/A")
        answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'pulpo_api_requests_total{method="GET",route="/models/{model}",status="404"} 2.0' in answer.text
    assert 'pulpo_api_requests_total{method="GET",route="unmatched",status="404"} 1.0' in answer.text
    assert 'method="OTHER"' in answer.text
    assert "/nothing/here" not in answer.text
    assert "pulpo_api_runs_in_progress 0.0" in answer.text


def test_settings_come_from_options_then_variables_then_the_manifest():
    environment = {"PULPO_API_PORT": "9001", "PULPO_API_TIMEOUT": "5", "LOG_LEVEL": "info"}
    ports = ["127.0.0.2:9000:8000"]
    assert read_settings({}).port == 8000
    assert (read_settings({}, ports=ports).host, read_settings({}, ports=ports).port) == ("127.0.0.2", 9000)
    assert read_settings({}, ports=["auto"]).port == "auto"
    assert read_settings({}, ports=ports, environment=environment).port == 9001
    found = read_settings({"PULPO_API_PORT": "9002", "PULPO_API_TOKEN": ""}, ports=ports, environment=environment, host="::1")
    assert (found.host, found.port, found.timeout, found.token) == ("::1", 9002, 5, None)
    assert read_settings({"PULPO_API_PORT": "9002"}, port="9003").port == 9003
    with pytest.raises(UsageError, match=r"^--port: a port is a number from 1 to 65535, or auto: 70000$"):
        read_settings({"PULPO_API_PORT": "9002"}, port="70000")


def test_settings_survive_the_way_through_the_environment():
    settings = Settings(host="::1", port="auto", token="a", origins="http://a,http://b", access_log=False, grace=2.5)
    again = read_settings(settings.variables(8123))
    assert again == settings.model_copy(update={"port": 8123})
    assert "'a'" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"PULPO_API_PORT": "70000"}, "PULPO_API_PORT: a port is a number from 1 to 65535, or auto: 70000"),
        ({"PULPO_API_TOKEN": "two words"}, "PULPO_API_TOKEN: a token is ASCII without blanks, for it travels in a header"),
        ({"PULPO_API_TIMEOUT": "soon"}, "PULPO_API_TIMEOUT: .*: soon"),
    ],
)
def test_settings_that_make_no_sense_are_named(environ, message):
    with pytest.raises(UsageError, match=f"^{message}$"):
        read_settings(environ)


def test_a_setting_of_the_manifest_that_is_none_is_named():
    with pytest.raises(UsageError, match="no such setting: PULPO_API_TOKN") as caught:
        read_settings({}, environment={"PULPO_API_TOKN": "x"})
    assert caught.value.hint == "did you mean 'PULPO_API_TOKEN'?"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_others_are_not_listened_to_without_a_token(host):
    with pytest.raises(UsageError, match=f"not on: {host}$"):
        Settings(host=host).check_address()
    Settings(host=host, read_token="x").check_address()
