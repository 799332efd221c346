"""`pulpo up`, `down`, `status`, `logs` and `clean`, with real processes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from pulpo.apply.apply_lock import NAME, only_one
from pulpo.services.state import ServiceFiles, Status, turn
from tests.cli.terminal import plain
from tests.cli.toys import BROKEN, Toys
from tests.services.conftest import until

MODE = "mode: local (default)\n"
TWO = """
  web: {command: [python, server.py], ports: ["PORT"]}
  shop: {command: [python, server.py], ports: ["PORT"], depends_on: [web], environment: {SAID: twice}}
  db: {engine: embedded}
"""
ONE_WAITS = """
  web: {command: [python, server.py], ports: ["PORT"]}
  shop: {command: [python, server.py, wait], ports: ["PORT"], depends_on: [web]}
"""
ONE_CRASHES = """
  web: {command: [python, server.py], ports: ["PORT"]}
  shop: {command: [python, server.py, crash], ports: ["PORT"]}
"""


@pytest.fixture
def toys(tmp_path):
    found = Toys(tmp_path)
    yield found
    found.end()


def timeless(text: str) -> str:
    return re.sub(r"\d+(\.\d)? m?s\b", "N s", text)


def test_services_come_up_in_order_and_go_in_reverse(toys):
    toys.lock(TWO)
    up = toys("up")
    assert (up.out, timeless(up.err)) == (
        "",
        f"{MODE}  web: starting\n  web: running in N s\n  shop: starting\n  shop: running in N s\n",
    )
    assert toys("up").err == f"{MODE}everything is up already\n"
    assert timeless(toys("down").err) == (
        f"{MODE}  shop: stopping\n  shop: stopped in N s\n  web: stopping\n  web: stopped in N s\n"
    )
    assert toys("down").err == f"{MODE}nothing was up\n"


def test_what_is_named_takes_along_what_it_needs_and_what_needs_it(toys):
    toys.lock(TWO)
    toys("up", "shop")
    assert {name: toys.services.state(name).status for name in ("web", "shop")} == dict.fromkeys(("web", "shop"), Status.RUNNING)
    toys("down", "web")
    assert {name: toys.services.state(name).status for name in ("web", "shop")} == dict.fromkeys(("web", "shop"), Status.STOPPED)


def test_a_service_is_restarted_alone_and_only_if_it_can_be_started(toys):
    toys.lock(TWO)
    toys("up")
    before = {name: toys.services.state(name).id for name in ("web", "shop")}
    assert timeless(toys("restart", "web").err).endswith("  web: stopped in N s\n  web: starting\n  web: running in N s\n")
    assert toys.services.state("shop").id == before["shop"]
    web = toys.services.state("web").id
    assert web != before["web"]
    lock = toys.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("command: [python, server.py], ports", 'command: [python, "${NOT_SET}"], ports', 1))
    toys("restart", "web", code=1)
    assert toys.services.state("web").id == web


def test_quiet_says_nothing(toys):
    toys.lock(TWO)
    for command in ("up", "up", "down"):
        done = toys("-q", command)
        assert (done.out, done.err) == ("", "")


def test_status_is_a_table_that_says_what_to_do(toys):
    toys.lock(TWO)
    empty = toys("status")
    assert empty.err == f"{MODE}nothing runs: `pulpo up` brings it up\n"
    assert [line.split()[:2] for line in empty.out.splitlines()[1:]] == [
        ["db", "embedded"],
        ["web", "absent"],
        ["shop", "absent"],
    ]
    toys("up")
    running = toys("status", "web")
    assert running.err == MODE
    assert re.fullmatch(r"service +state +address +since\nweb +running +127\.0\.0\.1:\d+ +[\d.]+ m?s ago\n", running.out)
    found = json.loads(toys("status", "--format", "json").out)
    assert (found["version"], found["ok"]) == (1, True)
    assert [(s["name"], s["state"], bool(s["pid"])) for s in found["services"]] == [
        ("db", "embedded", False),
        ("web", "running", True),
        ("shop", "running", True),
    ]


def test_a_changed_lock_shows_and_up_takes_it(toys):
    toys.lock(TWO)
    toys("up")
    lock = toys.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("twice", "thrice"))
    changed = toys("status")
    assert re.search(r"^shop .* differs from the lock$", changed.out, re.MULTILINE)
    assert "what runs is not all as the lock says: `pulpo up` changes it" in changed.err
    assert "web" not in toys("up").err
    assert toys("logs", "shop", "--tail", "1").out == "at your service thrice\n"


def test_a_service_that_fails_is_told_with_its_last_lines(toys):
    toys.lock(ONE_CRASHES)
    up = toys("up", code=1)
    assert "  shop: failed in " in up.err
    assert "error: shop ended before it was ready, with exit code: 1\n  no luck today\n" in up.err
    assert up.err.count("shop ended before it was ready") == 1
    status = toys("status", code=1)
    assert re.search(r"^web +running", status.out, re.MULTILINE)
    assert re.search(r"^shop +failed .*exit code 1$", status.out, re.MULTILINE)
    assert status.out.endswith("  no luck today\n  all of it: pulpo logs shop\n")
    assert json.loads(toys("status", "--format", "json", code=1).out)["ok"] is False
    assert toys("status", "web").code == 0


def test_starting_is_not_failed(toys):
    toys.lock(ONE_WAITS)
    toys("up", "--no-wait")
    assert re.search(r"^shop +starting", toys("status").out, re.MULTILINE)
    (toys.directory / "go").touch()
    assert "everything is up already" in toys("up").err
    assert re.search(r"^shop +running", toys("status").out, re.MULTILINE)


def test_an_interrupted_up_says_how_it_stands_and_the_next_goes_on(toys):
    toys.lock(ONE_WAITS)
    with toys.begin("up") as process:
        until(lambda: (state := toys.services.state("shop")) and state.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err.splitlines()[-1]) == ("", "interrupted: web is up, shop is not; `pulpo up` goes on")
    assert "Traceback" not in err
    assert err.count(MODE) == 1
    assert toys.services.state("web").status is Status.RUNNING
    assert toys.services.state("shop").status is Status.STOPPED
    (toys.directory / "go").touch()
    assert timeless(toys("up").err) == f"{MODE}  shop: starting\n  shop: running in N s\n"


def test_on_a_terminal_each_service_has_a_line(toys):
    toys.lock(TWO)
    code, shown = toys.on_terminal("up")
    last = timeless(plain(re.sub(r"\x1b\[(2K|1A|\?25[lh])", "", shown).rpartition("\r")[2]))
    assert code == 0
    assert "✓ web   running in N s" in last
    assert "✓ shop  running in N s" in last
    assert "\x1b[32m" in shown
    quiet = toys.on_terminal("-q", "down")
    assert quiet == (0, "")


def test_logs_are_merged_and_coloured_by_service(toys):
    toys.lock(TWO)
    before = toys("logs")
    assert (before.out, before.err) == ("", f"{MODE}nothing has been said\n")
    toys("up")
    assert toys("logs").out == "web  | at your service \nshop | at your service twice\n"
    lines = [json.loads(line) for line in toys("logs", "--format", "json").out.splitlines()]
    assert [(line["service"], line["text"]) for line in lines] == [("web", "at your service "), ("shop", "at your service twice")]
    assert toys("logs", "--since", "2100-01-01").out == ""
    colours = re.findall(r"\x1b\[(\d+)m(web|shop) +\|", toys.on_terminal("logs")[1])
    assert [name for _, name in colours] == ["web", "shop"]
    assert colours[0][0] != colours[1][0]


def test_logs_are_followed(toys):
    toys.lock(TWO)
    toys("up", "web")
    with toys.begin("logs", "-f") as process:
        assert process.stdout.readline() == "web  | at your service \n"
        toys("up", "shop")
        assert process.stdout.readline() == "shop | at your service twice\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert "Traceback" not in process.stderr.read()


def test_logs_have_one_width_from_the_first_line_on(toys):
    toys.lock("""
  web: {command: [python, server.py], ports: ["PORT"]}
  late: {command: [python, server.py, wait], ports: ["PORT"], probe: {log: your}}
""")
    toys("up", "--no-wait")
    until(lambda: toys.services.state("web").status is Status.RUNNING)
    assert toys("logs").out == "web  | at your service \n"
    assert toys("logs", "web").out == "at your service \n"


def test_a_lock_without_services_says_what_to_do(toys):
    (toys.directory / "pulpo.lock.yaml").write_text("version: 1\nproject: {name: toys}\n")
    for command in ("up", "status"):
        assert toys(command).err == f"{MODE}the lock has no services: `pulpo lock` writes them into it\n"


def test_an_unknown_service_is_a_usage_error(toys):
    toys.lock(TWO)
    for command in ("up", "down", "status", "logs"):
        done = toys(command, "shopp", code=2)
        assert "error: there is no such service: shopp\n  hint: did you mean 'shop'?" in done.err


def test_services_that_need_each_other_are_told_with_their_place(toys):
    toys.lock(TWO.replace("web: {", "web: {depends_on: [shop], "))
    assert re.search(r"^pulpo\.lock\.yaml:\d+:\d+: error PLP224", toys("up", code=1).err, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "variable", "project", "said"),
    [
        ((), None, "{name: toys, mode: local}", "local (project.mode in pulpo.lock.yaml)"),
        ((), "local", "{name: toys, mode: docker}", "local (PULPO_MODE)"),
        (("--mode", "local"), "docker", "{name: toys, mode: docker}", "local (--mode)"),
    ],
)
def test_the_mode_is_said_with_who_chose_it(toys, arguments, variable, project, said):
    toys.lock(TWO, project)
    done = toys("status", *arguments, env={"PULPO_MODE": variable} if variable else None)
    assert done.err.splitlines()[0] == f"mode: {said}"


def test_an_unknown_mode_is_a_usage_error(toys):
    toys.lock(TWO)
    assert "error: PULPO_MODE: there is no such mode: dokcer\n  hint: did you mean 'docker'?" in (
        toys("up", code=2, env={"PULPO_MODE": "dokcer"}).err
    )
    assert "dokcer" in toys("up", "--mode", "dokcer", code=2).err


def test_data_goes_only_after_a_yes(toys):
    toys.lock(TWO)
    for command in (("down", "--volumes"), ("clean", "--data")):
        refused = toys(*command, code=2)
        assert "error: this deletes data, and there is no terminal to ask on\n  hint: --yes says that it is meant" in refused.err
    store = toys.directory / "run_cache" / "store.db"
    store.parent.mkdir(exist_ok=True)
    store.write_bytes(b"")
    code, shown = toys.on_terminal("down", "--volumes", said=b"n\n")
    assert code == 130
    assert "delete what the services stored? [y/N]" in shown
    assert store.exists()
    assert toys.on_terminal("down", "--volumes", said=b"y\n")[0] == 0
    assert not store.exists()


def test_clean_removes_what_was_generated_and_no_data(toys):
    toys.lock(TWO)
    toys("up", "web")
    assert "error: services run: web\n  hint: stop them first: pulpo down" in toys("clean", code=2).err
    toys("down")
    toys("compile")
    cache = toys.directory / "run_cache"
    (cache / "store.db").write_bytes(b"")
    (cache / "data" / "mine").mkdir(parents=True)
    (cache / ".env").write_text("# Made by `pulpo up`, for a test\n")
    (cache / "orchestration" / "mine.py").write_text("mine = 1\n")
    assert toys("clean").err.endswith("run_cache is clean\n")
    left = sorted(str(path.relative_to(cache)) for path in cache.rglob("*") if path.name not in ("__init__.py", ".gitignore"))
    assert left == ["data", "data/mine", "orchestration", "orchestration/mine.py", "store.db"]
    (cache / "orchestration" / "mine.py").unlink()
    toys("clean", "--data", "--yes")
    assert not cache.exists()
    assert toys("clean").err == f"{MODE}run_cache is clean already\n"


def test_clean_removes_nothing_that_somebody_changes_just_now(toys):
    toys.lock(TWO)
    toys("up", "web")
    toys("down")
    cache = toys.directory / "run_cache"
    with only_one(cache, "pulpo apply"):
        refused = toys("clean", code=2).err
        assert "error: another one is changing this project's world: pulpo apply, process " in refused
    with turn(ServiceFiles(cache / "services", cache / "logs", "web")):
        process = toys.begin("clean")
        until(lambda: "pulpo clean" in (cache / NAME).read_text())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        assert toys.services.names() == ["web"]
    assert process.communicate()[1].endswith("run_cache is clean\n")
    assert not cache.exists()


def test_clean_deletes_no_data_while_a_run_goes_on(toys):
    (toys.directory / "toys.py").write_text("""
import pathlib, time
from pulpo import operation

@operation("wait.go")
def go() -> None:
    pathlib.Path("begun").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
""")
    (toys.directory / "pyproject.toml").write_text('[tool.pulpo]\nname = "toys"\nmodules = ["toys"]\n')
    toys("lock")
    with toys.begin("run", "wait") as process:
        until((toys.directory / "begun").exists)
        assert re.search(r"^error: runs are going on: \S+\n  hint: ", toys("clean", "--data", "--yes", code=2).err, re.MULTILINE)
        assert (toys.directory / "run_cache" / "store.db").exists()
        process.kill()
    toys("clean", "--data", "--yes")
    assert not (toys.directory / "run_cache" / "store.db").exists()


def test_an_up_that_changes_nothing_imports_nothing_heavy(toys):
    toys.lock(TWO)
    toys("up")
    heavy = (
        "('rich', 'prefect', 'fastapi', 'networkx', 'python_on_whales', 'pymongo', 'asyncio', 'jinja2', 'psutil', 'http.client')"
    )
    program = f"import sys; from pulpo.cli.app import CLI; CLI.main(['up']); print([m for m in {heavy} if m in sys.modules])"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=toys.directory, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", f"{MODE}everything is up already\n")


WHY = {"wrong setting": "PULPO_API_PORT: a port is a number from 1 to 65535, or auto: soon;"}


@pytest.mark.parametrize("how", [*BROKEN, "no file"])
def test_what_runs_is_seen_and_taken_down_whatever_the_lock_is(toys, how):
    (toys.directory / "pyproject.toml").write_text("[tool.pulpo]\nname = 'toys'\n")
    toys.lock(TWO)
    toys("up")
    lock = toys.directory / "pulpo.lock.yaml"
    if how == "no file":
        lock.unlink()
    else:
        lock.write_text(BROKEN[how](lock.read_text()))
    found = toys("status")
    assert found.err.startswith(f"{MODE}warning: {WHY.get(how, 'the lock has errors (`pulpo check`):')}")
    assert " services are found by what is remembered of their processes" in found.err
    assert [line.split()[:2] for line in found.out.splitlines()[1:]] == [["shop", "running"], ["web", "running"]]
    assert "differs" not in found.out
    assert toys("logs", "shop", "--tail", "1").out == "at your service twice\n"
    assert toys("status", "shpo", code=2).err.endswith("error: there is no such service: shpo\n  hint: did you mean 'shop'?\n")
    toys("down", "shop")
    assert [toys.services.state(name).status for name in ("shop", "web")] == [Status.STOPPED, Status.RUNNING]
    assert toys("up", code=None).code != 0
    refused = toys("clean", code=2).err
    assert ("services run: web" in refused, " services are found by" in refused) == (True, how != "no file")
    toys("down")
    assert toys.services.state("web").status is Status.STOPPED
    assert "run_cache is clean" in toys("clean").err
    assert toys.services.names() == []


def test_what_was_generated_is_removed_whatever_the_lock_is(toys):
    toys.lock(TWO)
    toys("compile")
    (toys.directory / "pulpo.lock.yaml").write_text("version: [")
    assert re.search(r"^warning: the lock has errors .*\n(  \S+\n)+run_cache is clean$", toys("clean").err, re.MULTILINE)
    assert not (toys.directory / "run_cache").exists()


def test_a_service_that_failed_is_seen_whatever_the_lock_is(toys):
    toys.lock(ONE_CRASHES)
    toys("up", code=1)
    lock = toys.directory / "pulpo.lock.yaml"
    lock.write_text(BROKEN["unknown key"](lock.read_text()))
    assert "no luck today" in toys("status", code=1).out


def test_a_lock_with_errors_of_which_nothing_runs_is_an_error(toys):
    toys.lock(BROKEN["broken rule"](TWO))
    for command in ("status", "down", "logs"):
        assert "PLP" in toys(command, code=1).err
