"""Any sequence of changes of the code, hand edits and comments: `lock` loses neither side, and is done at once."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pulpo.declare.registry import REGISTRY
from pulpo.lock.check import check
from pulpo.lock.update import lock
from pulpo.manifest.yaml_read import read
from pulpo.settings import find_project

NAMES = ["a.one", "a.two", "a.two.deep", "b.one", "seed", "z"]
SETTINGS = {
    "retries": st.integers(0, 9),
    "timeout": st.sampled_from([1, 2.5, 30]),
    "tags": st.lists(st.sampled_from(["x", "a: b", "ä"]), max_size=2),
    "category": st.sampled_from(["plain", "it's", "yes", "# no comment", "two\nlines"]),
}
SETTING = st.sampled_from(list(SETTINGS)).flatmap(lambda key: st.tuples(st.just(key), SETTINGS[key]))
HEAD = "from pydantic import BaseModel\nfrom pulpo import datamodel, operation\n\n@datamodel(key='id')\nclass M(BaseModel):\n    id: str\n"


class Operation:
    """A declaration, as its source will say it."""

    def __init__(self) -> None:
        self.settings: dict = {}
        self.parameters: dict[str, int] = {}
        self.consumes = False
        self.produces = False
        self.previously: str | None = None

    def source(self, name: str) -> str:
        given = {**self.settings, **({"previously": self.previously} if self.previously else {})}
        keywords = "".join(f", {key}={value!r}" for key, value in given.items())
        parameters = [*(["m: list[M]"] if self.consumes else []), *(f"{p}: int = {v}" for p, v in self.parameters.items())]
        returned = "list[M]" if self.produces else "None"
        return f'\n@operation("{name}"{keywords})\ndef {name.replace(".", "_")}({", ".join(parameters)}) -> {returned}: ...\n'


def owners(text: str) -> list[tuple[str, ...] | None]:
    """For each line of a lock without nested lists the path of the key that it begins, or None."""
    path: list[tuple[int, str]] = []
    found: list[tuple[str, ...] | None] = []
    for line in text.splitlines():
        key = re.match(r"( *)([\w.$-]+):", line)
        if key:
            path = [*(p for p in path if p[0] < len(key[1])), (len(key[1]), key[2])]
        found.append(tuple(name for _, name in path) if key else None)
    return found


class Locks(RuleBasedStateMachine):
    """A project whose code and lock are changed at random."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.root = Path(self.directory.name)
        self.path = self.root / "pulpo.lock.yaml"
        (self.root / "pyproject.toml").write_text('[tool.pulpo]\nname = "jobs"\nmodules = ["jobs"]\n')
        self.operations = {"seed": Operation(), "a.one": Operation()}
        self.operations["seed"].produces = True
        self.modules, self.import_path = dict(sys.modules), list(sys.path)
        #: What hands set, by operation and setting; None: taken out.
        self.edits: dict[tuple[str, str], object] = {}
        self.comments: dict[str, tuple[str, ...]] = {}
        self.hand_written = 0
        self.lock()

    def teardown(self) -> None:
        self.directory.cleanup()
        sys.path[:] = self.import_path

    def project(self):
        for name in [n for n in sys.modules if n.split(".")[0] == "jobs"]:
            del sys.modules[name]
        REGISTRY.reset()
        source = HEAD + "".join(operation.source(name) for name, operation in self.operations.items())
        (self.root / "jobs.py").write_text(source, encoding="utf-8")
        return find_project(self.root)

    def text(self) -> str:
        return self.path.read_bytes().decode()

    # ------------------------------------------------------------------------------------------------ the code changes

    @rule(name=st.sampled_from(NAMES), consumes=st.booleans(), produces=st.booleans())
    def declare(self, name: str, consumes: bool, produces: bool) -> None:
        taken = {*self.operations, *self.orphaned_or_edited()}
        if not any(name == n or n.startswith(f"{name}.") or name.startswith(f"{n}.") for n in taken):
            self.operations[name] = Operation()
            self.operations[name].consumes, self.operations[name].produces = consumes and not produces, produces

    @rule(name=st.sampled_from(NAMES[:4]))
    def withdraw(self, name: str) -> None:
        if name not in self.orphaned_or_edited():
            self.operations.pop(name, None)

    @rule(name=st.sampled_from(NAMES), setting=SETTING)
    def set_in_code(self, name: str, setting: tuple) -> None:
        key, value = setting
        if name in self.operations and (name, key) not in self.edits:
            self.operations[name].settings[key] = value

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from(list(SETTINGS)))
    def unset_in_code(self, name: str, key: str) -> None:
        if name in self.operations and (name, key) not in self.edits:
            self.operations[name].settings.pop(key, None)

    @rule(name=st.sampled_from(NAMES), parameter=st.sampled_from("pq"), value=st.integers(0, 3))
    def change_signature(self, name: str, parameter: str, value: int) -> None:
        if name in self.operations:
            parameters = self.operations[name].parameters
            if parameters.get(parameter) == value:
                del parameters[parameter]
            else:
                parameters[parameter] = value

    @rule(old=st.sampled_from(NAMES[:4]), new=st.sampled_from(["a.renamed", "y.renamed", "c"]))
    def rename(self, old: str, new: str) -> None:
        locked = read(self.text(), "").data["operations"]
        if old in self.operations and old in locked and new not in self.operations and new not in locked:
            self.operations[new] = self.operations.pop(old)
            self.operations[new].previously = old
            self.edits = {(new if name == old else name, key): value for (name, key), value in self.edits.items()}
            self.comments = {
                text: (path[0], new, *path[2:]) if path[:2] == ("operations", old) else path
                for text, path in self.comments.items()
            }
            self.lock()
            self.operations[new].previously = None

    # ------------------------------------------------------------------------------------------------- the lock is edited

    def orphaned_or_edited(self) -> set[str]:
        return {name for name, _ in self.edits}

    def entry(self, name: str) -> tuple[int, int] | None:
        """The lines of an operation's entry."""
        paths = owners(self.text())
        lines = [n for n, path in enumerate(paths) if path and path[:2] == ("operations", name)]
        return (lines[0], lines[-1] + 1) if lines else None

    @precondition(lambda self: self.hand_written < 3)
    @rule(name=st.sampled_from(NAMES), retries=st.integers(10, 19))
    def set_by_hand(self, name: str, retries: int) -> None:
        span = self.entry(name)
        if span is None or name not in self.operations:
            return
        lines = self.text().splitlines(keepends=True)
        paths = owners(self.text())
        at = [n for n, path in enumerate(paths) if path == ("operations", name, "retries")]
        end = self.line_end()
        if at:
            lines[at[0]] = re.sub(r"retries: \d+", f"retries: {retries}", lines[at[0]])
        else:
            last = max(n for n in range(*span) if paths[n])
            lines.insert(last + 1, f"    retries: {retries}{end}")
        if self.operations[name].settings.get("retries") != read(self.text(), "").data["operations"][name].get("retries"):
            return  # the code was changed since the last lock: that would be a conflict
        self.write("".join(lines))
        self.edits[name, "retries"] = retries

    @rule(line=st.integers(0, 200), above=st.booleans())
    def comment(self, line: int, above: bool) -> None:
        text = self.text()
        lines, paths = text.splitlines(keepends=True), owners(text)
        places = [n for n, path in enumerate(paths) if path]
        n = places[line % len(places)]
        word = f"c{len(self.comments)}c"
        end = self.line_end()
        if above:
            lines.insert(n, f"{lines[n][: len(lines[n]) - len(lines[n].lstrip())]}# {word}{end}")
        else:
            body = lines[n].rstrip("\r\n")
            lines[n] = f"{body}  # {word}{lines[n][len(body) :]}"
        self.write("".join(lines))
        self.comments[word] = paths[n]

    @rule(line=st.integers(0, 200))
    def blank_line(self, line: int) -> None:
        lines = self.text().splitlines(keepends=True)
        n = line % len(lines)
        if not lines[n].lstrip().startswith("#"):  # a blank line would part a comment from what it is about
            lines[n] += self.line_end() if lines[n].endswith("\n") else ""
            self.write("".join(lines))

    @rule()
    def other_line_ends(self) -> None:
        text = self.text()
        self.write(text.replace("\r\n", "\n") if "\r\n" in text else text.replace("\n", "\r\n"))

    @rule()
    def no_last_line_end(self) -> None:
        self.write(self.text().rstrip("\r\n"))

    @precondition(lambda self: not self.hand_written)
    @rule()
    def write_an_operation_by_hand(self) -> None:
        end = self.line_end()
        entry = f"  by.hand:  # mine{end}    origin: manifest{end}    entrypoint: jobs:seed{end}"
        self.write(re.sub(r"^(operations:.*\r?\n)", lambda m: m[1] + entry, self.text(), count=1, flags=re.MULTILINE))
        self.hand_written = 1

    def line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text() else "\n"

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode())

    # ------------------------------------------------------------------------------------------------------------- lock

    @rule()
    def lock(self) -> None:
        existed = self.path.exists()
        before = self.text() if existed else ""
        lock(self.project())
        after = self.text()
        data = read(after, "").data
        for name, operation in self.operations.items():
            entry = data["operations"][name]
            assert {p: v["default"] for p, v in entry.get("parameters", {}).items()} == operation.parameters
            for key in SETTINGS:
                assert entry.get(key) == self.edits.get((name, key), operation.settings.get(key)), (name, key)
        assert set(data["operations"]) == {*self.operations, *(["by.hand"] if self.hand_written else [])}
        self.see_comments(after, data)
        if existed:
            assert ("\r\n" in before) == ("\r\n" in after)
            assert before.endswith("\n") == after.endswith("\n")
        assert not lock(self.project()).stale
        assert self.text() == after
        assert check(self.project()) == ()

    def see_comments(self, text: str, data: dict) -> None:
        """Each comment stands once, by the key that it stood by; those of keys that are gone are gone."""
        lines, paths = text.splitlines(), owners(text)
        for word, path in list(self.comments.items()):
            node = data
            for part in path:
                node = node.get(part) if isinstance(node, dict) else None
            where = [n for n, line in enumerate(lines) if re.search(rf"# {word}\b", line)]
            if node is None:
                del self.comments[word]
                continue
            assert len(where) == 1, (word, path)
            owner = next(p for p in paths[where[0] :] if p)
            assert owner == path, word

    @invariant()
    def the_lock_can_be_read(self) -> None:
        if hasattr(self, "path"):
            read(self.text(), "")


TestLocks = Locks.TestCase
TestLocks.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
