"""A MongoDB that runs of the command line and of a Prefect worker share."""

import asyncio
import json

from pulpo.store.mongo import MongoStore
from tests.locks import with_services
from tests.run.prefect.test_worker import a_project, working


async def test_two_runs_and_a_worker_at_once_share_the_records_and_the_history(tmp_path, prefect, mongo_url, database):
    environment = {**prefect, "MONGO_URL": f"{mongo_url}/{database}"}
    shell = a_project(tmp_path / "store", environment, "store")
    with_services(shell.directory / "pulpo.lock.yaml", db='{uri: "${MONGO_URL}", driver: pymongo}')

    def work():
        shell("prefect", "deploy")
        with working(shell, "store-process"):
            asked = shell.start("-m", "pulpo", "prefect", "run", "store", "--param", "word=a", "--watch", "--format", "json")
            runs = [shell.start("-m", "pulpo", "run", "store", "--param", "word=a", "--format", "json") for _ in range(2)]
            ended = [json.loads(process.communicate(timeout=120)[0]) for process in (asked, *runs)]
        return ended, json.loads(shell("runs", "--format", "json")[0])

    (asked, *runs), history = await asyncio.to_thread(work)
    assert asked["state"] == "Completed"
    assert [run["state"] for run in runs] == ["completed"] * 2
    assert sorted(run["engine"] for run in history) == ["inline", "inline", "prefect"]
    assert {run["state"] for run in history} == {"completed"}
    assert not (shell.directory / "run_cache" / "store.db").exists()
    async with MongoStore(f"{mongo_url}/{database}", database="x", driver="pymongo") as store:
        assert await store.database["item"].count_documents({}) == 3
        assert await store.database["price"].count_documents({}) == 9
