"""`/events`: live, resumable, filtered, from whichever process."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import socket
import statistics
import time
from dataclasses import replace

import httpx
import pytest

from pulpo.api import events as module
from pulpo.api.app import create_app
from pulpo.api.events import Events, Filter
from pulpo.api.settings import Settings
from pulpo.run.codec import collection_of
from pulpo.run.record import RUNS, Process, RunRecord, State
from pulpo.store.base import Record
from pulpo.store.open import project_store
from pulpo.store.values import now
from tests.api.conftest import client_of
from tests.api.work import api_process, events, make_project, store_of, until

pytestmark = pytest.mark.usefixtures("fresh_imports")


@pytest.fixture
def cli(tmp_path):
    return make_project(tmp_path)


@pytest.fixture
async def app(cli):
    manifest, document = cli._lock()
    app = create_app(manifest, store_of(cli), settings=Settings(), document=document, project=cli.project)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def streams(app):
    await app.state.events.start()
    return app.state.events


def parsed(text):
    """The events of a text: kind and id."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if "event" in fields or "id" in fields:
            found.append((fields.get("event"), fields.get("data"), fields.get("id")))
    return found


class Client:
    def __init__(self, streams, last=None, wanted=None):
        self._texts = streams.stream(last, wanted or Filter())
        self.got, self.last = [], last
        #: So many of those got were looked at: several come in one text.
        self._seen = 0

    async def until(self, kind, part=""):
        async with asyncio.timeout(10):
            while not self._passed(kind, part):
                text = await anext(self._texts, None)
                assert text is not None, f"the stream ended before: {kind}"
                new = parsed(text)
                self.got += new
                self.last = next((i for _, _, i in reversed(new) if i), self.last)
        return self

    def _passed(self, kind, part):
        while self._seen < len(self.got):
            found, data, _ = self.got[self._seen]
            self._seen += 1
            if found == kind and part in (data or ""):
                return True
        return False

    async def close(self):
        await self._texts.aclose()

    def kinds(self):
        return [kind for kind, _, _ in self.got if kind]


async def put_job(cli, url):
    spec = cli.manifest().models["Job"]
    async with store_of(cli) as store:
        await store.upsert_many(collection_of("Job", spec), [Record(f"{abs(hash(url)):024x}"[:24], {"url": url})])


async def test_ids_are_the_same_for_every_api_on_the_store_and_only_grow(cli, app, streams):
    other = Events(app)
    await other.start()
    first, second = Client(streams), Client(other)
    sums = []
    try:
        await first.until("ready")
        await second.until("ready")
        for n in range(3):
            await put_job(cli, f"u{n}")
            await first.until("records")
            await second.until("records")
            assert first.last.split("-")[0] == second.last.split("-")[0]
            sums.append(int(first.last.split("-")[0]))
    finally:
        await first.close()
        await second.close()
        await other.stop()
    assert sums == sorted(set(sums))


async def test_a_client_that_comes_back_gets_what_it_missed_and_nothing_else(cli, streams):
    client = await Client(streams).until("ready")
    last = client.last
    await put_job(cli, "a")
    await client.until("records")
    await client.close()
    await put_job(cli, "b")

    async def looked():
        return streams._observer.id.split("-")[0] != client.last.split("-")[0]

    await until(looked)
    back = await Client(streams, client.last).until("records")
    assert back.kinds() == ["ready", "records"]
    await back.close()
    from_before = await Client(streams, last).until("records", '"version":2')
    assert from_before.kinds().count("records") == 2
    await from_before.close()
    idle = await Client(streams, back.last).until("ready")
    assert idle.kinds() == ["ready"]
    await idle.close()


async def test_another_api_goes_on_after_an_id_that_it_never_saw(cli, app, streams):
    client = await Client(streams).until("ready")
    last = client.last
    await client.close()
    async with client_of(create_app(*cli._lock()[:1], store_of(cli), settings=Settings(), project=cli.project)) as http:
        run = (await http.post("/operations/fetch/run", json={"wait": 20})).json()["id"]
    other = Events(app)
    await other.start()
    back = await Client(other, last).until("records", "Job")
    told = [data for kind, data, _ in back.got if kind == "run"]
    assert any(run in data and "completed" in data for data in told)
    assert any(run in data for kind, data, _ in back.got if kind == "step")
    assert back.last == other._observer.id
    await back.close()
    await other.stop()


async def test_a_filter_lets_through_what_it_names_and_keeps_the_place(cli, streams):
    models = Client(streams, wanted=Filter(models=frozenset({"Clean"})))
    await models.until("ready")
    before = models.last
    await put_job(cli, "a")
    async with asyncio.timeout(10):
        while models.last == before:
            text = await anext(models._texts)
            models.last = next((i for _, _, i in parsed(text) if i), models.last)
            assert "event:" not in text
    await models.close()


async def test_a_comment_keeps_an_idle_stream_open(streams, monkeypatch):
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.05)
    texts = streams.stream(None, Filter())
    await anext(texts)
    assert (await anext(texts)).startswith(": keep-alive\n")
    await texts.aclose()


async def test_a_slow_client_loses_its_stream_behind_what_it_got(cli, streams, monkeypatch):
    monkeypatch.setattr(module, "_BACKLOG", 1)
    slow = await Client(streams).until("ready")
    for n in range(3):
        before = streams._observer.id
        await put_job(cli, f"u{n}")

        async def looked(before=before):
            return streams._observer.id != before

        await until(looked)
    with pytest.raises(AssertionError, match="the stream ended"):
        await slow.until("never")
    back = await Client(streams, slow.last).until("records", '"version":3')
    await back.close()


async def test_a_run_whose_process_dies_is_told_as_crashed(cli, streams):
    client = await Client(streams).until("ready")
    # The store is told nothing when a process dies: here its process is one that is gone from the start.
    gone = Process(socket.gethostname(), 1, 1.0)
    run = RunRecord("20261122-083000-0000000", "fetch", State.RUNNING, now(), operations=("fetch",), process=gone, root="x")
    async with store_of(cli) as store:
        await store.upsert_many(RUNS, [Record(run.id, run.data(), run=run.id)])
    await client.until("run", "crashed")
    await client.close()


async def test_a_run_elsewhere_that_falls_silent_is_told_as_crashed_and_its_signs_of_life_are_not_told(cli, streams, monkeypatch):
    client = await Client(streams).until("ready")
    there = Process("elsewhere", 1, 1.0)
    run = RunRecord("20261122-083000-0000000", "fetch", State.RUNNING, now(), operations=("fetch",), process=there, root="x")
    async with store_of(cli) as store:
        for _ in range(2):
            await store.upsert_many(RUNS, [Record(run.id, replace(run, seen=now()).data(), run=run.id)])
            version = (await store.versions())[RUNS.name]

            async def looked(version=version):
                return streams._observer._versions.get(RUNS.name) == version

            await until(looked)
    monkeypatch.setattr("pulpo.run.record.SILENCE", dt.timedelta(0))
    await client.until("run", "crashed")
    assert [json.loads(data)["state"] for kind, data, _ in client.got if kind == "run"] == ["running", "crashed"]
    await client.close()


async def test_what_can_t_be_told_is_refused(app):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/events", params={"model": "Jop"})).status_code == 422
        assert (await client.get("/events", headers={"Last-Event-ID": "x"})).status_code == 400


@pytest.fixture(params=["embedded", "mongodb"])
def environ(request):
    """The environment of processes that use a store of either kind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULPO_", "PREFECT_"))}
    if request.param == "embedded":
        return kept
    return {**kept, "PULPO_DB_URI": f"{request.getfixturevalue('mongo_url')}/{request.getfixturevalue('database')}"}


async def test_a_change_of_another_process_is_told_within_a_second(cli, environ):
    """The middle one of several: what else the machine does keeps one of them longer, not half of them."""
    manifest, times = cli.manifest(), []
    with api_process(cli, environ) as (_, url):
        async with project_store(cli.project, manifest, environ=environ) as store, events(url, model="Job") as stream:
            for n in range(7):
                began = time.monotonic()
                await store.upsert_many(collection_of("Job", manifest.models["Job"]), [Record(f"u{n}", {"url": f"u{n}"})])
                await stream.next("records")
                times.append(time.monotonic() - began)
                await asyncio.sleep(0.07 * n)  # at another moment between two looks each time
    assert statistics.median(times) < 1, times


async def test_events_reach_200_clients_whoever_makes_them_and_through_a_restart(cli):
    with api_process(cli) as (process, url):
        async with httpx.AsyncClient(base_url=url, timeout=30) as client, _many(url, 200) as streams:
            began = time.monotonic()
            await put_job(cli, "a")  # from this process
            await asyncio.gather(*(stream.next("records") for stream in streams))
            assert time.monotonic() - began < 2.5  # 200 clients of this process share two cores with it
            run = (await client.post("/operations/fetch/run", json={})).json()["id"]
            kind, data = await streams[0].next("run")
            assert (kind, data["run"], data["flow"]) == ("run", run, "fetch")
            last = streams[0].last
        process.kill()
        process.wait()
    await put_job(cli, "b")
    with api_process(cli) as (process, url):
        async with events(url, last=last) as stream:
            assert (await stream.next("records"))[1]["model"] in ("Clean", "Job")
            process.terminate()  # an open stream does not keep it
            assert await asyncio.to_thread(process.wait, 20) == 0


class _many:
    def __init__(self, url, count):
        self._entered = [events(url) for _ in range(count)]

    async def __aenter__(self):
        return await asyncio.gather(*(one.__aenter__() for one in self._entered))

    async def __aexit__(self, *error):
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in self._entered))
