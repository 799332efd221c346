"""Loading, validating and saving a lock: what users are told, and that a file is written whole or not at all."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from pulpo.diagnostics import Diagnostic
from pulpo.errors import DiagnosticsError, UsageError
from pulpo.manifest.load import load, read_file, save, validate
from pulpo.manifest.yaml_read import read
from pulpo.manifest.yaml_write import dumps
from tests.strategies import damaged_manifests, manifests

BEGIN = "(it begins with version: 1 and project: {name: NAME}; `pulpo lock` makes one from the code)"
VALID = 'version: 1\nproject: {name: p}\noperations:\n  a.b: {entrypoint: "m:f", retries: 3}\n'


def problems(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticsError) as caught:
        validate(read(text, "lock"))
    return caught.value.diagnostics


def told(text: str) -> list[str]:
    """What a user sees of a lock: one line for each problem."""
    return [f"{problem}{f' ({problem.hint})' if problem.hint else ''}" for problem in problems(text)]


def unreadable(path: Path) -> Diagnostic:
    with pytest.raises(DiagnosticsError) as caught:
        load(path, "pulpo.lock.yaml")
    (problem,) = caught.value.diagnostics
    assert problem.code == "PLP001"
    return problem


def test_a_lock_is_loaded_with_its_places(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    path.write_text(VALID, encoding="utf-8")
    manifest, document = load(path, "pulpo.lock.yaml")
    assert manifest.operations["a.b"].retries == 3
    assert str(document.locate(("operations", "a.b", "retries"))) == "pulpo.lock.yaml:4:37"
    assert document.text == VALID


def test_places_call_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pulpo.lock.yaml").write_text(VALID, encoding="utf-8")
    assert load(Path("pulpo.lock.yaml"))[1].file == "pulpo.lock.yaml"


def test_line_ends_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(VALID.replace("\n", "\r\n").encode())
    assert read_file(path).text == VALID.replace("\n", "\r\n")


def test_a_missing_lock_says_how_to_make_one(tmp_path: Path) -> None:
    problem = unreadable(tmp_path / "lock")
    assert (problem.message, problem.hint) == (
        "there is no lock: pulpo.lock.yaml",
        "run `pulpo lock` to make it from the code",
    )


def test_a_directory_is_no_lock(tmp_path: Path) -> None:
    assert unreadable(tmp_path).message == "the lock is a directory, not a file: pulpo.lock.yaml"


def test_a_lock_below_a_file_can_not_be_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert unreadable(loop).message in (
        "the lock can't be read: Too many levels of symbolic links: pulpo.lock.yaml",
        "there is no lock: pulpo.lock.yaml",
    )


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("wb") as stream:
        stream.truncate(32_000_001)
    assert unreadable(path).message == "the lock is larger than 32 MB: pulpo.lock.yaml"


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"version: 1\nname: \xe9\n")
    with pytest.raises(DiagnosticsError, match=r"^lock:2:7: error PLP002: the file is not UTF-8 text: byte 0xe9$"):
        load(path, "lock")


@pytest.mark.parametrize("version", ["2", "1.5", "99"])
def test_a_newer_version_is_told_before_anything_else(version: str) -> None:
    (line,) = told(f"version: {version}\nunknown: {{}}\n")
    message = f"version: the lock is of a newer version than this Pulpo reads, which is 1: {version}"
    assert line == f"lock:1:10: error PLP005: {message} (run `pip install -U pulpocore`)"


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = """\
        version: 1
        project: {name: "", mode: remote}
        models:
          raw-job: {}
          Raw:
            key: url
            schmea: {}
            entrypoint: jobs.models
        operations:
          Parsing.clean:
            entrypoint: m:f
            description: ~
            timeout: 0
            tags: [nightly, 3]
          parsing.clean:
            retries: -1
            inputs:
              raw: {model: Raw, mode: ech}
              other: {}
            on_error: 5
            concurrency: many
        flows: []
        services:
          db: {x-mine: 1, zzz: 1}
        """
    assert told(textwrap.dedent(text)) == [
        "lock:2:17: error PLP101: project.name: must not be empty",
        "lock:2:27: error PLP101: project.mode: must be local or docker: remote",
        "lock:4:3: error PLP101: models.raw-job: a name here is letters, digits and _, and does not begin with a digit: raw-job (did you mean 'raw_job'?)",
        "lock:6:10: error PLP101: models.Raw.key: must be a list: url (a list of one is written [url])",
        "lock:7:5: error PLP101: models.Raw.schmea: unknown key: schmea (did you mean 'schema'?)",
        "lock:8:17: error PLP101: models.Raw.entrypoint: an entrypoint is written package.module:name: jobs.models (did you mean 'jobs:models'?)",
        "lock:10:3: error PLP101: operations.Parsing.clean: a segment is lower case letters, digits and _, beginning with a letter, not 'Parsing' (did you mean 'parsing.clean'?)",
        "lock:12:18: error PLP101: operations.Parsing.clean.description: must be a string: null (leave the key out to unset it)",
        "lock:13:14: error PLP101: operations.Parsing.clean.timeout: must be greater than 0: 0 (leave it out for calls without an end)",
        'lock:14:21: error PLP101: operations.Parsing.clean.tags[1]: must be a string: 3 (put it in quotes: "3")',
        "lock:15:3: error PLP101: operations.parsing.clean: a required key is missing: entrypoint (say where the function is: entrypoint: package.module:function)",
        "lock:16:14: error PLP101: operations.parsing.clean.retries: must be at least 0: -1 (leave it out for none)",
        "lock:18:31: error PLP101: operations.parsing.clean.inputs.raw.mode: must be one, each, all, keyed or previous: ech (did you mean 'each'?)",
        "lock:19:7: error PLP101: operations.parsing.clean.inputs.other: a required key is missing: model (say which model: model: NAME)",
        "lock:20:15: error PLP101: operations.parsing.clean.on_error: must be fail or skip: 5",
        "lock:21:18: error PLP101: operations.parsing.clean.concurrency: must be a whole number: many",
        "lock:22:8: error PLP101: flows: must be a mapping: [] (write {})",
        "lock:24:19: error PLP101: services.db.zzz: unknown key: zzz (keys here are enabled, image, command, uri, engine, driver, environment, variables, ports, volumes, depends_on, probe, restart, replicas, resources, grace; your own begin with x-)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", f"lock:1:1: error PLP101: a manifest is a mapping: [] {BEGIN}"),
        ("just text", f"lock:1:1: error PLP101: a manifest is a mapping: just text {BEGIN}"),
        ("a: 1", "lock:1:1: error PLP101: a required key is missing: project (write project: {name: NAME})"),
    ],
)
def test_what_is_no_manifest_at_all_is_told(text: str, message: str) -> None:
    assert message in told(text)


def test_a_long_value_is_cut_in_the_message() -> None:
    (problem,) = problems(VALID.replace("retries: 3", f"retries: {'x' * 500}"))
    assert problem.message == f"must be a whole number: {'x' * 59}…"


@given(manifests())
def test_valid_manifests_survive_writing_and_loading(data: dict[str, Any]) -> None:
    manifest = validate(read(dumps(data), "lock"))
    assert manifest.data() == data
    text = dumps(manifest.data())
    assert validate(read(text, "lock")) == manifest
    assert dumps(validate(read(text, "lock")).data()) == text


def test_whole_seconds_are_written_without_a_point() -> None:
    data = validate(read(VALID.replace("retries: 3", "timeout: 30, retry_delay: 0.5, cache: {ttl: 60.0}"), "lock")).data()
    assert "timeout: 30\n    cache: {ttl: 60}\n" in dumps(data)
    assert "retry_delay: 0.5\n" in dumps(data)


@given(damaged_manifests())
def test_any_damage_is_told_with_a_place_or_is_none(data: Any) -> None:
    document = read(dumps(data), "lock")
    try:
        validate(document)
    except DiagnosticsError as error:
        told = error.diagnostics
    else:
        return
    assert told
    assert all(problem.place and problem.code in ("PLP005", "PLP007", "PLP101") for problem in told)


def test_saving_writes_the_text_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    assert save(path, "a: é\n")
    assert path.read_bytes() == "a: é\n".encode()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pulpo.lock.yaml", "run_cache"]


def test_saving_the_same_text_touches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    path.write_text("a: 1\n", encoding="utf-8")
    before = path.stat()
    assert not save(path, "a: 1\n")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pulpo.lock.yaml", "run_cache"]


def test_saving_keeps_the_mode_and_a_new_file_has_the_usual_one(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    (tmp_path / "usual").touch()
    save(path, "a: 1\n")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    path.chmod(0o640)
    save(path, "a: 2\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_saving_through_a_symbolic_link_writes_its_target(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "lock"
    target.parent.mkdir()
    target.write_text("a: 1\n", encoding="utf-8")
    link = tmp_path / "pulpo.lock.yaml"
    link.symlink_to(target)
    assert save(link, "a: 2\n")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "a: 2\n"


def test_what_a_killed_writer_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".pulpo.lock.yaml.new").write_text("half of someth", encoding="utf-8")
    path = tmp_path / "pulpo.lock.yaml"
    assert save(path, "a: 1\n")
    assert path.read_text(encoding="utf-8") == "a: 1\n"
    assert not (tmp_path / ".pulpo.lock.yaml.new").exists()


def test_saving_where_there_is_no_directory_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the lock can't be written: No such file or directory: "):
        save(tmp_path / "gone" / "pulpo.lock.yaml", "a: 1\n")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    save(path, "a: 1\n")
    program = f"""
        import pathlib, resource, signal
        from pulpo.errors import UsageError
        from pulpo.manifest.load import save
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            save(pathlib.Path({str(path)!r}), "b" * 2000)
        except UsageError as error:
            print(error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert result.stdout == f"the lock can't be written: File too large: {path}\n"
    assert path.read_text(encoding="utf-8") == "a: 1\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pulpo.lock.yaml", "run_cache"]


def test_a_second_writer_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    (tmp_path / "run_cache").mkdir()
    done = threading.Event()
    with (tmp_path / "run_cache" / "lock.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        second = threading.Thread(target=lambda: (save(path, "a: 1\n"), done.set()))
        second.start()
        assert not done.wait(0.2)
        assert not path.exists()
    assert done.wait(10)
    second.join()
    assert path.exists()


def test_readers_never_meet_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pulpo.lock.yaml"
    texts = ["a" * 100_000, "b" * 100_000]
    save(path, texts[0])
    program = "import pathlib, sys; from pulpo.manifest.load import save\nfor i in range(60): save(pathlib.Path(sys.argv[1]), 'ba'[i % 2] * 100_000)"
    writers = [subprocess.Popen([sys.executable, "-c", program, os.fspath(path)]) for _ in range(2)]
    while any(writer.poll() is None for writer in writers):
        assert path.read_text(encoding="utf-8") in texts
    assert [writer.returncode for writer in writers] == [0, 0]
