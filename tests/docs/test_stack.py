"""What the pages about services, Prefect and `apply` show is what happens, on one stack; and no command of a page is left out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.apply.services.local_stack import Stack
from tests.docs.blocks import DOCS, Block, blocks, pages, plain, printed
from tests.docs.test_tutorial import FOLLOWED
from tests.ports import free_port
from tests.prefect_server import migrate

#: One worker has the stack.
pytestmark = pytest.mark.xdist_group("stack of pages")

ROOT = DOCS.parent
#: The blocks that are done here, by what they have: all of these pages.
BLOCKS = {
    "up": ("services.md", "the UI is at"),
    "logs": ("services.md", "pulpo logs api worker"),
    "deploy": ("prefect.md", "$ pulpo prefect deploy"),
    "run": ("prefect.md", "--watch"),
    "plan": ("apply.md", "changed behind the manifest's back"),
    "part": ("apply.md", "--only"),
    "kept": ("apply.md", "-o plan.json"),
    "program": ("apply.md", "from pulpo import CLI"),
    "fails": ("services.md", "error: board ended"),
    "failed": ("services.md", "board failed: "),
    "single": ("services.md", "$ pulpo prefect start"),
    "taken": ("services.md", "is taken: by"),
}
HERE = {page for page, _ in BLOCKS.values()}
#: Pages whose commands other tests run.
ELSEWHERE = {
    "api.md": "tests/api/test_docs.py",
    "ci.md": "tests/cli/test_ci.py",
    "diagnostics.md": "tests/test_codes.py",
    "init.md": "tests/docs/test_pages.py",
    "manifest.md": "tests/cli/test_lock_command.py",
    "migrate-kedro.md": "tests/examples/test_spaceflights.py",
}
#: Commands that no test runs, and why; those in blocks without a language, which show how they are written, are parsed only.
NOT_RUN = {
    ("tutorial.md", "python3 -m venv .venv && . .venv/bin/activate"): "tests/release installs it in empty environments",
    ("tutorial.md", "pip install pulpocore"): "tests/release installs what is built of this checkout, and not what is published",
    ("schedule.md", "pulpo up prefect worker"): "prefect.md has the same, on ports that are free",
    ("schedule.md", "pulpo prefect deploy"): "prefect.md has the same, on ports that are free",
    ("migrate-prefect.md", "export PREFECT_API_URL=http://prefect.example.org:4200/api"): "the server is somebody else's",
    ("migrate-prefect.md", "pulpo prefect deploy --check"): "the server is somebody else's",
    ("migrate-prefect.md", "pulpo prefect deploy"): "the server is somebody else's",
    ("README.md", "make demo"): "makes an environment; tests/examples/test_flights_run.py runs the same pipeline",
    ("README.md", "make test"): "these are the tests",
    ("CONTRIBUTING.md", "make test"): "these are the tests",
    ("CONTRIBUTING.md", "make check"): ".ci/run runs it before the tests",
    ("CONTRIBUTING.md", "make help"): "lists what the Makefile has",
}
#: What is another thing on each machine, and what stands for it.
VOLATILE = (
    (r"^mode: local \(default\)\n", ""),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"(port|http\.server|process) \d+", r"\1 NUMBER"),
    (r"NUMBER, in [^)]+\)", "NUMBER, in PLACE)"),
    (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
    (r"^[a-z]+-[a-z]+(?=  ID|: Completed)", "NAME"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\d+ min( \d+ s)? ago", "TIME"),
)


def told(text: str) -> str:
    for pattern, name in VOLATILE:
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    return plain(text)


def holds(command: str, shown: str, said: str) -> bool:
    """Whether a page shows what was said; `…` stands for anything. Services start in any order."""
    lines, found = ([line.strip() for line in told(text).splitlines()] for text in (shown, said))
    if command == "pulpo up" and "…" not in lines:
        return sorted(lines) == sorted(found)
    pattern = "".join("(.*\\n)*" if line == "…" else re.escape(line).replace("…", ".*") + "\\n" for line in lines)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in found)) is not None


class Pages:
    """The example `jobs` with its stack, in which blocks of pages are done."""

    def __init__(self, directory: Path) -> None:
        shutil.copytree(ROOT / "examples" / "jobs", directory, ignore=shutil.ignore_patterns("run_cache", "__pycache__"))
        self.directory = directory
        self.stack = Stack(directory)
        migrate(directory / "run_cache" / "data" / "prefect")
        for port in ('"8000"', '"4200"', '"3000"'):
            self.edit("pulpo.lock.yaml", port, "auto")
        self.edit("pulpo.lock.yaml", "worker: {}", 'worker:\n    environment: {PREFECT_WORKER_QUERY_SECONDS: "2"}')

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.directory / name).read_text()
        assert old in text, old
        (self.directory / name).write_text(text.replace(old, new, 1))

    def prefect(self, method: str, path: str, body: Any) -> Any:
        ports = json.loads((self.directory / "run_cache" / "services" / "ports.json").read_text())
        url = f"http://127.0.0.1:{ports['prefect']}/api{path}"
        asked = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def do(self, block: Block) -> None:
        """Run its commands: each prints what is shown; one of which nothing is shown does not fail."""
        for command, shown in block.commands:
            if shown:
                said = printed(command, self.directory)
                assert holds(command, shown, said), f"{block}: {command}\n{told(shown)}\n--- but\n{told(said)}"
            else:
                said = printed(f"{command} || echo failed: $?", self.directory)
                assert "failed: " not in said, said


def block(name: str) -> Block:
    page, text = BLOCKS[name]
    (found,) = (one for one in blocks(DOCS / page) if one.language in ("console", "python") and text in one.text)
    return found


@pytest.fixture(scope="module")
def pages_stack(tmp_path_factory):
    made = Pages(tmp_path_factory.mktemp("pages") / "jobs")
    yield made
    made.stack.end()


@pytest.fixture(scope="module")
def up(pages_stack):
    """The stack as the page about services brings it up."""
    pages_stack.do(block("up"))
    return pages_stack


@pytest.fixture(scope="module")
def deployed(up):
    up.do(block("logs"))
    up.do(block("deploy"))
    return up


@pytest.fixture(scope="module")
def edited(deployed):
    """What the page about `apply` has: an operation is gone, and a schedule, an index, a service and a variable are new."""
    operations = (deployed.directory / "jobs" / "operations.py").read_text()
    (start,) = (found.start() for found in re.finditer('@operation\\(name="validate"', operations))
    deployed.edit("jobs/operations.py", operations[start : operations.index("\n\n\n", start)], "")
    (deployed.directory / "board.py").write_text(
        "import pathlib, sys, time\npathlib.Path('index.html').exists() or sys.exit('no template: index.html')\ntime.sleep(600)\n"
    )
    (deployed.directory / "index.html").write_text("")
    raw = "description: What a board answered to a search.\n    key: [board, keywords]\n"
    deployed.edit("pulpo.lock.yaml", raw, f"{raw}    indexes: [[board, title]]\n")
    services = "services:\n  board: {command: [python, board.py]}\n  api:\n    environment: {TZ: UTC}\n"
    flows = 'flows:\n  scraping: {schedule: {cron: "0 6 * * *"}}\n'
    deployed.edit("pulpo.lock.yaml", "services:\n  api:\n", flows + services)
    printed("pulpo lock", deployed.directory)
    (found,) = (one for one in deployed.prefect("POST", "/deployments/filter", {}) if "parsing" in one["entrypoint"])
    deployed.prefect("PATCH", f"/deployments/{found['id']}", {"description": "by hand"})
    return deployed


def test_a_stack_is_brought_up_tells_what_it_said_and_gets_deployments(deployed):
    """What the fixtures ran printed what is shown."""


def test_a_deployed_flow_runs_as_shown(deployed):
    deployed.do(block("run"))


def test_plans_and_what_is_applied_are_as_shown(edited):
    (plan, shown), (apply, _) = block("plan").commands
    said = printed(plan, edited.directory)
    assert holds(plan, shown, said), f"{told(shown)}\n--- but\n{told(said)}"
    ((part, _),) = block("part").commands
    assert "Applied: 1 created, 1 updated, 0 deleted" in printed(f"{part} --yes", edited.directory)  # nobody is there to ask
    edited.do(block("kept"))
    assert "No changes" in printed(apply, edited.directory)
    assert printed(f"python - <<'EOF' && echo done\n{block('program').text}EOF", edited.directory).endswith("done\n")


def test_a_service_that_fails_and_single_ones_are_told_as_shown(edited):
    printed("pulpo apply --yes", edited.directory)
    (edited.directory / "index.html").unlink(missing_ok=True)
    edited.edit("pulpo.lock.yaml", "board.py]}", "board.py], environment: {THEME: dark}}")
    edited.do(block("fails"))
    edited.do(block("failed"))
    edited.do(block("single"))


def test_who_has_a_port_is_told_as_shown(tmp_path):
    (tmp_path / "site").mkdir()
    port = free_port()
    (tmp_path / "pulpo.lock.yaml").write_text(
        f'version: 1\nproject: {{name: jobs}}\nservices:\n  prefect: {{ports: ["{port}"]}}\n'
    )
    command = ["python", "-m", "http.server", str(port), "-b", "127.0.0.1"]
    with subprocess.Popen(command, executable=sys.executable, cwd=tmp_path / "site", stderr=subprocess.DEVNULL) as holder:
        try:
            wait_for(port)
            ((command, shown),) = block("taken").commands
            said = printed(command, tmp_path)
        finally:
            holder.kill()
    assert holds(command, shown, said), told(said)
    assert str(tmp_path / "site") in said


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    pytest.fail("nothing listens")


def test_each_command_of_a_page_is_run_or_is_said_not_to_be():
    found, run = set(), {*HERE, *ELSEWHERE}
    for page in (*pages(), ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for one in blocks(page):
            followed = one.language == "console" and one.page in (*FOLLOWED, "README.md")
            if one.language in ("bash", "console") and not followed and one.page not in run:
                found |= {(one.page, re.split(r"\s+#", command)[0]) for command, _ in one.commands}
    assert found == set(NOT_RUN)


def test_each_block_of_the_pages_here_is_done_here():
    shown = [str(one) for page in HERE for one in blocks(DOCS / page) if one.language in ("bash", "console", "python")]
    assert sorted(shown) == sorted(str(block(name)) for name in BLOCKS)
