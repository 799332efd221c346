"""The command line as a real process: what it prints where, and how it exits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest


def test_lock_check_run_twice_leaves_no_difference_and_no_doubled_record(jobs):
    before = (jobs.directory / "pulpo.lock.yaml").read_bytes()
    for number in (1, 2):
        jobs("lock")
        jobs("lock", "--check")
        jobs("check")
        run = json.loads(jobs("run", "pipeline", "--format", "json").out)
        assert run["state"] == "completed"
        made = {s["operation"]: s["counts"] for s in run["steps"]}
        assert made["parsing.clean"]["CleanedJobs"]["inserted"] == (2 if number == 1 else 0)
        assert made["parsing.clean"]["CleanedJobs"]["unchanged"] == (0 if number == 1 else 2)
    assert (jobs.directory / "pulpo.lock.yaml").read_bytes() == before


def test_data_goes_to_stdout_and_talk_to_stderr(jobs):
    done = jobs("lock", "--check")
    assert (done.out, done.err) == ("", "pulpo.lock.yaml is up to date: 5 operations, 2 models\n")
    assert jobs("-q", "lock", "--check").err == ""
    graph = jobs("graph")
    assert graph.out.startswith("flowchart LR\n")
    assert graph.err == ""


def test_nothing_is_coloured_in_a_pipe(jobs):
    for arguments in (["check"], ["run", "validate", "--with-upstream"], ["runs"], ["operations"], ["--help"]):
        done = jobs(*arguments)
        assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize(("format", "begin"), [("mermaid", "flowchart LR"), ("dot", "digraph"), ("json", "{")])
def test_graph_formats(jobs, format, begin):
    assert jobs("graph", "--format", format).out.startswith(begin)


def test_graph_of_a_selection(jobs):
    graph = json.loads(jobs("graph", "--format", "json", "--select", "+parsing.clean").out)
    assert "scraping.merge" not in json.dumps(graph)


def test_operations_models_and_flows_list_and_show(jobs):
    assert "scraping.stepstone.fetch" in jobs("operations").out
    assert "mode: each" in jobs("operations", "parsing.clean").out
    assert json.loads(jobs("models", "RawJobs", "--format", "json").out)["key"] == ["board", "keywords"]
    assert jobs("flows").out.splitlines()[0].split() == ["flow", "operations", "parameters"]
    assert "- " in jobs("flows", "scraping").out or "scraping.merge" in jobs("flows", "scraping").out


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["operations", "parsing.claen"], "there is no operation parsing.claen", "did you mean 'parsing.clean'?"),
        (["models", "RawJob"], "there is no model RawJob", "did you mean 'RawJobs'?"),
        (["flows", "scrapping"], "there is no flow scrapping", "did you mean 'scraping'?"),
        (["run", "scrapping"], "there is no such flow or operation: scrapping", "did you mean 'scraping'?"),
        (["run"], "no flow is named", "`pulpo run pipeline` runs everything; `pulpo flows` lists the flows"),
        (["run", "pipeline", "--param", "keyword=x"], "pipeline has no such parameter: 'keyword'", "did you mean 'keywords'?"),
        (["run", "pipeline", "--param", "keywords"], "--param takes name=value, not: keywords", None),
        (["run", "pipeline", "--select", "parsing.claen"], "parsing.claen", "did you mean 'parsing.clean'?"),
        (["run", "pipeline", "--input", "RawJob=latest"], "there is no such model: RawJob", "did you mean 'RawJobs'?"),
        (["run", "pipeline", "--input", "RawJobs=@nothing.json"], "nothing.json can't be read: No such file or directory", None),
        (["run", "pipeline", "--resume", "2020"], "there is no such run: 2020", "`pulpo runs` lists them"),
        (["runs", "show", "x"], "there are no runs yet", "`pulpo run pipeline` makes one"),
    ],
)
def test_a_mistake_is_a_message_a_hint_and_exit_2(jobs, arguments, message, hint):
    done = jobs(*arguments, code=2)
    assert message in done.err
    assert hint is None or f"hint: {hint}" in done.err
    assert done.out == ""


@pytest.mark.parametrize("arguments", [["bogus"], ["run", "--bogus"], ["graph", "--format", "png"], ["runs", "--bogus"]])
def test_bad_usage_exits_2(jobs, arguments):
    assert "Error" in jobs(*arguments, code=2).err


def test_global_options_stand_anywhere(shell, jobs):
    assert shell("--project", "jobs", "graph").out == shell("graph", "--project=jobs").out == jobs("graph").out
    assert shell("check", "-q", "--project", "jobs").err == ""


def test_no_project_is_said(shell):
    done = shell("check", code=2)
    assert "no Pulpo project here" in done.err
    assert "[tool.pulpo]" in done.err
    assert "no such directory" in shell("check", "--project", "nowhere", code=2).err


def test_check_fails_with_places_as_text_and_json(jobs):
    lock = jobs.directory / "pulpo.lock.yaml"
    lock.write_text(lock.read_text().replace("mode: each", "mode: eahc"))
    line = next(n for n, text in enumerate(lock.read_text().splitlines(), 1) if "eahc" in text)
    done = jobs("check", code=1)
    assert done.out.startswith(f"pulpo.lock.yaml:{line}:")
    report = json.loads(jobs("check", "--format", "json", code=1).out)
    assert report["ok"] is False
    assert [(d["code"], d["line"]) for d in report["diagnostics"]] == [("PLP101", line)]


def test_a_warning_fails_only_when_strict(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    operations.write_text(operations.read_text() + "\n\n@operation\ndef extra():\n    pass\n")
    jobs("lock")
    assert "warning PLP110" in jobs("check").out
    jobs("check", "--strict", code=1)


def test_check_without_code_imports_no_user_code(jobs):
    (jobs.directory / "jobs" / "__init__.py").write_text("raise SystemExit('imported')\n")
    jobs("check", "--no-code")
    jobs("graph")
    jobs("operations")
    jobs("flows")
    done = jobs("check", code=1)
    assert "jobs/__init__.py:1:1: error PLP118: importing jobs failed: SystemExit: imported" in done.out


def test_a_failing_operation_is_told_with_its_place_and_exits_1_and_resume_goes_on(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    good = operations.read_text()
    operations.write_text(
        good.replace(
            "def clean(raw: RawJobs) -> CleanedJobs:\n",
            "def clean(raw: RawJobs) -> CleanedJobs:\n    raise ValueError('no title')\n",
        )
    )
    assert operations.read_text() != good
    done = jobs("run", "pipeline", code=1)
    assert "ValueError: no title" in done.out
    assert "jobs/operations.py:" in done.out
    states = dict(line.split()[:2] for line in done.out.splitlines()[1:6])
    assert states == {
        "scraping.linkedin.fetch": "completed", "scraping.stepstone.fetch": "completed", "scraping.merge": "completed",
        "parsing.clean": "failed", "validate": "skipped",
    }  # fmt: skip
    operations.write_text(good)
    resumed = json.loads(jobs("run", "--resume", "latest", "--format", "json").out)
    assert {s["operation"]: s["state"] for s in resumed["steps"]} == {
        "scraping.linkedin.fetch": "reused", "scraping.stepstone.fetch": "reused", "scraping.merge": "reused",
        "parsing.clean": "completed", "validate": "completed",
    }  # fmt: skip


def test_a_flow_alone_takes_what_the_last_run_stored(jobs):
    done = jobs("run", "parsing", code=2)
    assert "RawJobs" in done.err
    assert "--with-upstream" in done.err
    jobs("run", "scraping")
    done = jobs("run", "parsing")
    assert "RawJobs" in done.err
    assert "2 CleanedJobs (2 new)" in done.out
    jobs("run", "parsing", "--input", "RawJobs=latest")
    records = [{"board": "mine", "keywords": "k", "title": "t", "jobs": []}]
    (jobs.directory / "raw.json").write_text(json.dumps(records))
    assert "1 CleanedJobs (1 new)" in jobs("run", "parsing", "--input", "RawJobs=@raw.json").out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_a_supervisors_stop_are_recorded_and_exit_130(jobs, number):
    operations = jobs.directory / "jobs" / "operations.py"
    operations.write_text(
        operations.read_text().replace(
            "def clean(raw: RawJobs) -> CleanedJobs:\n",
            "def clean(raw: RawJobs) -> CleanedJobs:\n    import time; print('here', flush=True); time.sleep(60)\n",
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pulpo", "run", "pipeline"],
        cwd=jobs.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert process.stdout.readline().startswith("here")  # two records at once: their lines may mix
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    states = {s["operation"]: s["state"] for s in json.loads(jobs("runs", "show", "--format", "json").out)["steps"]}
    assert states["parsing.clean"] == "cancelled"
    assert states["scraping.linkedin.fetch"] == "completed"


def test_what_containers_stored_in_a_database_of_their_own_is_told_to_be_elsewhere(jobs, monkeypatch):
    told = "what containers stored is not here but in a volume of theirs: ask the API for it, or use MongoDB\n"
    for arguments, code in ((["runs"], 0), (["db", "export"], 0), (["runs", "show"], 2), (["runs", "logs"], 2)):
        assert told in jobs("--mode", "docker", *arguments, code=code).err
    assert told not in jobs("runs").err
    monkeypatch.setenv("PULPO_STORE_PATH", "elsewhere.db")  # as in one of the containers
    assert told not in jobs("--mode", "docker", "runs").err


def test_a_killed_run_shows_as_crashed(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    operations.write_text(
        operations.read_text().replace(
            "def clean(raw: RawJobs) -> CleanedJobs:\n",
            "def clean(raw: RawJobs) -> CleanedJobs:\n    import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n",
        )
    )
    assert jobs("run", "pipeline", code=None).code == -signal.SIGKILL
    assert " crashed " in jobs("runs").out


def test_runs_in_an_empty_project_say_what_to_do(jobs):
    done = jobs("runs")
    assert (done.out, done.err) == ("", "there are no runs yet: `pulpo run pipeline` makes one\n")
    assert not (jobs.directory / "run_cache").exists()


def test_main_py_is_the_same_command_line(jobs):
    done = subprocess.run(
        [sys.executable, "main.py", "lock", "--check"], cwd=jobs.directory, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "pulpo.lock.yaml is up to date: 5 operations, 2 models\n")
    elsewhere = subprocess.run(
        [sys.executable, "jobs/main.py", "operations"], cwd=jobs.directory.parent, capture_output=True, text=True, check=False
    )
    assert elsewhere.returncode == 0, elsewhere.stderr


def test_read_only_commands_import_no_framework(jobs):
    code = (
        "import sys; from pulpo.cli.app import CLI; sys.stdout = sys.stderr; assert CLI.main(sys.argv[1:]) == 0; "
        "bad = [m for m in ('prefect', 'fastapi', 'motor', 'pymongo', 'sqlite3', 'asyncio', 'rich', 'jobs') if m in sys.modules]; "
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    for arguments in (["--help"], ["check", "--no-code"], ["graph"], ["operations"], ["models"], ["flows"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=jobs.directory, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (arguments, done.stderr)


def test_every_command_has_help(shell):
    for command in ("lock", "check", "graph", "operations", "models", "flows", "run", "runs", "schema"):
        assert shell(command, "--help").out.startswith("Usage: pulpo ")


def test_a_reader_that_leaves_early_is_no_error(jobs):
    done = subprocess.run(
        f"{sys.executable} -m pulpo graph | head -n 1",
        shell=True,
        cwd=jobs.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("flowchart LR\n", "")


def test_a_resumed_part_stays_a_part(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    good = operations.read_text()
    operations.write_text(
        good.replace(
            "def clean(raw: RawJobs) -> CleanedJobs:\n",
            "def clean(raw: RawJobs) -> CleanedJobs:\n    raise ValueError('no title')\n",
        )
    )
    jobs("run", "pipeline", "--to", "parsing.clean", code=1)
    operations.write_text(good)
    resumed = json.loads(jobs("run", "pipeline", "--resume", "latest", "--format", "json").out)
    assert {s["operation"]: s["state"] for s in resumed["steps"]} == {
        "scraping.linkedin.fetch": "reused", "scraping.stepstone.fetch": "reused", "parsing.clean": "completed",
    }  # fmt: skip
    assert "is not one of scraping, but of: pipeline" in jobs("run", "scraping", "--resume", "latest", code=2).err
    assert "can't be selected anew" in jobs("run", "--resume", "latest", "--only", "validate", code=2).err


def test_what_user_code_prints_does_not_spoil_json(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    operations.write_text(
        "print('at import')\n"
        + operations.read_text().replace(
            "def clean(raw: RawJobs) -> CleanedJobs:\n", "def clean(raw: RawJobs) -> CleanedJobs:\n    print('at work')\n"
        )
    )
    done = jobs("run", "pipeline", "--format", "json")
    assert json.loads(done.out)["state"] == "completed"
    assert "at work" in done.err
    assert json.loads(jobs("check", "--format", "json", code=None).out)["version"] == 1


def test_a_run_goes_on_when_nobody_reads_its_progress(jobs):
    done = subprocess.run(
        f"{sys.executable} -m pulpo run pipeline 2>&1 >/dev/null | true; sleep 2; {sys.executable} -m pulpo runs show --format json",
        shell=True,
        cwd=jobs.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["state"] == "completed"
    for redirection in ("2>&-", ">&-", "2>/dev/full"):
        done = subprocess.run(
            f"{sys.executable} -m pulpo run pipeline {redirection}",
            shell=True,
            cwd=jobs.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "bug" in done.stderr) == (0, False), redirection


def test_ctrl_c_does_not_wait_for_threads_of_user_code(jobs):
    operations = jobs.directory / "jobs" / "operations.py"
    operations.write_text(
        operations.read_text()
        .replace("async def merge(", "async def merge(")
        .replace(
            '    return CleanedJobs(board="all"',
            "    import asyncio, time; print('here', flush=True); await asyncio.to_thread(time.sleep, 60)\n    return CleanedJobs(board=\"all\"",
            1,
        )
    )
    assert "to_thread" in operations.read_text()
    process = subprocess.Popen(
        [sys.executable, "-m", "pulpo", "run", "pipeline"],
        cwd=jobs.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().startswith("here")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "go on with: pulpo run --resume latest" in err


def test_json_lines_may_hold_any_character(jobs):
    records = [{"board": f"b{n}", "keywords": "k\u2028", "title": "t", "jobs": []} for n in (1, 2)]
    (jobs.directory / "raw.jsonl").write_text(
        "\ufeff" + "\n".join(json.dumps(r, ensure_ascii=False) for r in records), encoding="utf-8"
    )
    assert "2 CleanedJobs" in jobs("run", "parsing", "--input", "RawJobs=@raw.jsonl").out
    (jobs.directory / "bad.jsonl").write_text("{}\n\n{oops\n")
    assert "line 3 of the file" in jobs("run", "parsing", "--input", "RawJobs=@bad.jsonl", code=2).err


def test_a_run_over_a_lock_with_a_cycle_says_where_it_is(jobs):
    lock = jobs.directory / "pulpo.lock.yaml"
    text = lock.read_text()
    fetch = "    outputs: [{model: RawJobs}]\n    description: The postings of LinkedIn."
    assert fetch in text
    lock.write_text(text.replace(fetch, f"    after: [validate]\n{fetch}"))
    done = jobs("run", "pipeline", code=1)
    assert "pulpo.lock.yaml:" in done.err
    assert "PLP206" in done.err
