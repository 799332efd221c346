"""Good and bad manifests, in files: all who judge by the schema say the same, and what we say of the bad ones is asserted.

Each file begins with comments. In a bad one they say what is wrong with it:

    # expect: CODE LINE:COLUMN PATH: MESSAGE     each problem that is reported, in order
    # hint: HINT                                 of the problem above
    # accepted by: npm, check-jsonschema         who reads its YAML otherwise than YAML 1.2's strict core, and so accepts it
    # not for: check-jsonschema, REASON          who can't be asked

`make golden` writes what is expected anew. `npm` is the package `yaml`, with ajv; check-jsonschema reads with ruamel.yaml. All other validators are given our data.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import jsonschema_rs
import pytest

from pulpo.diagnostics import dotted
from pulpo.errors import DiagnosticsError
from pulpo.manifest.load import load, read_file
from pulpo.manifest.schema import BUNDLE, schema, schemas_by_name
from tests.manifest.language_server import NODE, node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pulpo.diagnostics import Diagnostic

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parents[1] / "corpus"
GOOD, BAD = (sorted((CORPUS / kind).glob("*.yaml")) for kind in ("good", "bad"))
FILES = [*GOOD, *BAD]
PARTS = {
    "models": "model",
    "operations": "operation",
    "flows": "flow",
    "services": "service",
    "environments": "environment",
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def lines_of(path: Path, kind: str) -> list[str]:
    """What the comments `# kind: …` of a file say."""
    text = path.read_bytes().decode(errors="replace")
    return re.findall(rf"^# {kind}: (.*?)\r?$", text, re.MULTILINE)


def accepted_by(path: Path, who: str) -> bool:
    """Whether a tool is to accept a file when it reads it by itself."""
    return path in GOOD or who in [tool for line in lines_of(path, "accepted by") for tool in line.split(", ")]


def told(problem: Diagnostic) -> list[str]:
    """A problem as the comments of its file have it."""
    where = f" {problem.place.line}:{problem.place.column}" if problem.place else ""
    subject = f"{dotted(problem.path)}: " if problem.path else ""
    line = f"expect: {problem.code}{where} {subject}{problem.message}"
    return [line, f"hint: {problem.hint}"] if problem.hint else [line]


def problems(path: Path) -> tuple[Diagnostic, ...]:
    try:
        load(path)
    except DiagnosticsError as error:
        return error.diagnostics
    return ()


@functools.cache
def data_of(path: Path) -> Any:
    """The data of a file as we read it; None if we do not."""
    try:
        return read_file(path).data
    except DiagnosticsError:
        return None


@dataclass(frozen=True)
class Asked:
    """A document, or a file, and the schema to judge it by."""

    schema: str
    data: Any = None
    file: str | None = None


def entries() -> Iterator[tuple[str, Asked]]:
    """Each entry of each file, by the schema of its part, and each whole manifest, by that of the manifest."""
    for path in FILES:
        data = data_of(path)
        if data is not None:
            yield name(path), Asked("manifest", data)
        for section, part in PARTS.items():
            found = data.get(section) if isinstance(data, dict) else None
            if isinstance(found, dict):
                yield from ((f"{name(path)}: {section}.{key}", Asked(part, entry)) for key, entry in found.items())


@functools.cache
def by_ajv() -> dict[str, list[dict[str, Any]]]:
    """What ajv says of our data, of the files as npm's `yaml` reads them, and of entries: one process for all of them."""
    asked = {
        "data": [Asked("bundle", data_of(path)) for path in FILES],
        "files": [Asked("bundle", file=str(path)) for path in FILES],
        "entries": [question for _, question in entries()],
    }
    documents = [vars(question) for questions in asked.values() for question in questions]
    request = {
        "schemas": {"bundle": schema(), **schemas_by_name()},
        "documents": [{key: value for key, value in d.items() if key != "file" or value} for d in documents],
    }
    answer = subprocess.run(
        [node(), str(NODE / "judge.mjs")], input=json.dumps(request).encode(), capture_output=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr.decode()
    verdicts = iter(json.loads(answer.stdout))
    return {key: [next(verdicts) for _ in questions] for key, questions in asked.items()}


@functools.cache
def refused_by_check_jsonschema(schema_file: str, *files: str) -> frozenset[str]:
    """The files that check-jsonschema refuses."""
    command = Path(sys.executable).with_name("check-jsonschema")
    arguments = ["--output-format", "json", "--schemafile", str(ROOT / schema_file), *files]
    answer = subprocess.run([command, *arguments], capture_output=True, timeout=120, check=False)
    assert answer.returncode in (0, 1), answer.stderr.decode()[-2000:]
    report = json.loads(answer.stdout)
    assert (report["status"] == "ok") is (answer.returncode == 0)
    return frozenset(problem["filename"] for kind in ("errors", "parse_errors") for problem in report.get(kind, ()))


def met(node: dict[str, Any], data: Any) -> Iterator[tuple[str, str]]:
    """The keys of the schema that data has, each with the part of the schema that it belongs to."""
    if "$ref" in node:
        node = schema()["$defs"][node["$ref"].rpartition("/")[2]]
    for key, value in data.items() if isinstance(data, dict) else ():
        if key in node.get("properties", {}):
            yield node["title"], key
            yield from met(node["properties"][key], value)
        elif isinstance(node.get("additionalProperties"), dict):
            yield from met(node["additionalProperties"], value)
    for item in data if isinstance(data, list) and "items" in node else ():
        yield from met(node["items"], item)


def test_every_key_of_the_schema_is_met_in_a_good_file() -> None:
    known = {(part["title"], key) for part in [schema(), *schema()["$defs"].values()] for key in part["properties"]}
    assert known - {pair for path in GOOD for pair in met(schema(), data_of(path))} == set()


def test_every_choice_of_the_schema_is_met_in_a_good_file() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in GOOD)
    choices = {
        option for part in schema()["$defs"].values() for node in part["properties"].values() for option in node.get("enum", ())
    }
    assert [choice for choice in sorted(choices) if not re.search(rf": {choice}\b", text)] == []


def test_there_are_files_of_all_kinds() -> None:
    assert len(GOOD) >= 25
    assert len(BAD) >= 60
    assert {path.suffix for path in CORPUS.rglob("*") if path.is_file()} == {".yaml"}


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_a_good_file_has_no_problems(path: Path) -> None:
    assert [line for problem in problems(path) for line in told(problem)] == []


def write_anew(path: Path) -> None:
    """Let the comments of a bad file say what is reported now."""
    for _ in range(2):  # their number moves the lines that they are about
        found = [f"# {line}".encode() for problem in problems(path) for line in told(problem)]
        kept = [line for line in path.read_bytes().split(b"\n") if not re.match(rb"# (expect|hint): ", line)]
        end = next(number for number, line in enumerate(kept) if not line.removeprefix(b"\xef\xbb\xbf").startswith(b"#"))
        path.write_bytes(b"\n".join([*kept[:end], *found, *kept[end:]]))


@pytest.mark.golden
@pytest.mark.parametrize("path", BAD, ids=name)
def test_a_bad_file_is_told_with_places_and_what_to_write(path: Path, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-golden"):
        write_anew(path)
    found = problems(path)
    expected = re.findall(r"^# ((?:expect|hint): .*?)\r?$", path.read_bytes().decode(errors="replace"), re.MULTILINE)
    assert [line for problem in found for line in told(problem)] == expected
    assert expected


@pytest.mark.parametrize("path", FILES, ids=name)
def test_python_validators_agree_on_a_file(path: Path) -> None:
    data = data_of(path)
    if data is None:
        assert all(code.startswith("PLP00") for code in lines_of(path, "expect"))
        return
    assert jsonschema.Draft202012Validator(schema()).is_valid(data) is (path in GOOD)
    assert jsonschema_rs.Draft202012Validator(schema()).is_valid(data) is (path in GOOD)


def test_ajv_agrees_on_all_files() -> None:
    for path, verdict in zip(FILES, by_ajv()["data"], strict=True):
        assert verdict["valid"] is (path in GOOD), (name(path), verdict["problem"])


def test_ajv_agrees_on_all_files_as_npm_reads_them() -> None:
    for path, verdict in zip(FILES, by_ajv()["files"], strict=True):
        assert verdict["valid"] is accepted_by(path, "npm"), (name(path), verdict["problem"])


def test_check_jsonschema_agrees_on_all_files() -> None:
    asked = [path for path in FILES if not any(line.startswith("check-jsonschema") for line in lines_of(path, "not for"))]
    assert len(FILES) - len(asked) <= 1
    refused = refused_by_check_jsonschema(BUNDLE, *map(str, asked))
    for path in asked:
        assert (str(path) not in refused) is accepted_by(path, "check-jsonschema"), name(path)


def test_only_files_with_odd_yaml_are_read_otherwise_by_others() -> None:
    odd = {path.stem for path in BAD if lines_of(path, "accepted by") and not path.stem.startswith("yaml_")}
    assert odd == {"number_underscore"}


def test_all_agree_on_each_part_by_its_own_schema() -> None:
    validators = {key: jsonschema.Draft202012Validator(part) for key, part in schemas_by_name().items()}
    fast = {key: jsonschema_rs.Draft202012Validator(part) for key, part in schemas_by_name().items()}
    valid: dict[str, set[bool]] = {key: set() for key in schemas_by_name()}
    for (where, asked), verdict in zip(entries(), by_ajv()["entries"], strict=True):
        expected = validators[asked.schema].is_valid(asked.data)
        valid[asked.schema].add(expected)
        assert fast[asked.schema].is_valid(asked.data) is expected, where
        assert verdict["valid"] is expected, (where, verdict["problem"])
    assert valid == {key: {True, False} for key in schemas_by_name()}, "each part is met in a good and in a bad entry"


def test_check_jsonschema_agrees_on_each_part(tmp_path: Path) -> None:
    validators = {key: jsonschema_rs.Draft202012Validator(part) for key, part in schemas_by_name().items()}
    expected: dict[str, dict[str, bool]] = {key: {} for key in validators}
    for number, (_, asked) in enumerate(entries()):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(asked.data), encoding="utf-8")
        expected[asked.schema][str(path)] = validators[asked.schema].is_valid(asked.data)
    for key, verdicts in expected.items():
        refused = refused_by_check_jsonschema(f"schemas/{key}.v1.json", *verdicts)
        assert {path: path not in refused for path in verdicts} == verdicts, key
