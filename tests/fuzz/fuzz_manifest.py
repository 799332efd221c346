"""Feeds damaged locks to all that reads one, and reports whatever is neither accepted nor refused in words, or takes long.

    python tests/fuzz/fuzz_manifest.py --seconds 300 [--seed 1]

It needs nothing but the package. What it finds is written to tests/fuzz/found/, which `test_fuzz.py` replays.
"""

from __future__ import annotations

import argparse
import copy
import gc
import hashlib
import os
import random
import re
import resource
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from pulpo.compile.orchestration import OrchestrationCompiler  # noqa: E402 - the package need not be installed
from pulpo.diagnostics import errors  # noqa: E402
from pulpo.errors import DiagnosticsError, PulpoError  # noqa: E402
from pulpo.graph.render import render  # noqa: E402
from pulpo.lock.check import check_manifest  # noqa: E402
from pulpo.manifest.load import validate  # noqa: E402
from pulpo.manifest.splice import splice  # noqa: E402
from pulpo.manifest.yaml_read import read  # noqa: E402
from pulpo.manifest.yaml_text import decode  # noqa: E402
from pulpo.manifest.yaml_write import dumps  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pulpo.manifest.yaml_read import Document

FOUND = Path(__file__).parent / "found"
#: Inputs are smaller than this: what they take is then the fault of the code.
LONGEST = 6_000
#: Of CPU.
SECONDS = 2.0
MEGABYTES = 1_500

SNIPPETS = [
    b"version: 1\nproject: {name: p}\nx-a: &a {k: 1, <<: {l: 2}}\nx-b: {<<: *a, k: 3}\nx-c: [*a, *a]\n",
    b'version: 1\nproject:\n  name: "p\\u00e9\\x41"\n  modules:\n  - a # one\n  # two\n  - b\n\n# end\n',
    b"version: 1\r\nproject: {name: p}\r\nx-text: |+\r\n  a\r\n\r\n\r\nx-fold: >-\r\n  b\r\n  c\r\n",
    b"%YAML 1.2\n---\n? version\n: 1\n? |\n  project\n: {name: p}\n...\n",
    b"version: 1\nproject: {name: p,\n  # c\n  modules: [a, # b\n    c,\n  ],}\nx-a: 'it''s\n  two'\n",
    b"version: 1\nproject: {name: p}\nx-n: [0x1F, 0o17, 1.50, 1e3, .5, -0, ~, true, 'a', \"b\", 2024-01-01, 1_0]\n",
]
_TOKENS = """
: - ? [ ] { } , & * ! | > ' " % @ ` # ~ << --- ... {} [] '' "" null true yes 1 -1 1.5 1e400 .inf .nan 0x10 &a *a <<:*a !!str !x %TAG
|2- >+ version project models operations flows services environments declared entrypoint inputs outputs retries model from mode
schema parameters default after schedule cron m:f x-a a.b pipeline each all keyed ${A} ${A:-b} $$ ${ \\ \\u0041 \\x0 \\ud800 \\
"""
TOKENS = _TOKENS.split()
BYTES = [
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b" ",
    b"\n  ",
    b"\n- ",
    b": ",
    b" #",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
]
BYTES += [
    "é".encode(),
    "😀".encode(),
    b"\xc2\x85",
    b"\xed\xa0\x80",
    b"<<<<<<< a\n",
    b"=======\n",
    b">>>>>>> b\n",
    b"\x1b",
    b"- " * 70,
]


def seeds() -> list[bytes]:
    """The corpus of the tests, the examples' locks, snippets, and what was found."""
    files = [*ROOT.glob("tests/corpus/*/*.yaml"), *ROOT.glob("examples/*/pulpo.lock.yaml"), *FOUND.glob("*.yaml")]
    return [*SNIPPETS, *(file.read_bytes() for file in sorted(files))]


def mutated(random: random.Random, corpus: list[bytes]) -> bytes:
    """A seed, or a piece of one, with a few changes: of bytes, tokens and lines, and with pieces of other seeds."""
    raw = random.choice(corpus)
    if len(raw) > LONGEST:
        start = raw.find(b"\n", random.randrange(len(raw))) + 1
        raw = raw[start : start + LONGEST // 2]
    for _ in range(random.choice((1, 1, 2, 3, 5, 8, 20))):
        raw = random.choice(MUTATIONS)(random, raw, corpus)[:LONGEST]
    return raw


def _spot(random: random.Random, raw: bytes) -> tuple[int, int]:
    start = random.randrange(len(raw) + 1)
    return start, min(len(raw), start + random.choice((0, 1, 1, 2, 4, 10, 60)))


def _bytes(random: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + (random.choice(BYTES) if random.random() < 0.8 else random.randbytes(2)) + raw[end:]


def _token(random: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    words = list(re.finditer(rb"[\w.$-]+|[^\w\s]", raw))
    word = random.choice(words).span() if words else (0, 0)
    return raw[: word[0]] + random.choice(TOKENS).encode() + raw[word[1] if random.random() < 0.7 else word[0] :]


def _remove(random: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    start, end = _spot(random, raw)
    return raw[:start] + raw[end:]


def _repeat(random: random.Random, raw: bytes, _: list[bytes]) -> bytes:
    start, end = _spot(random, raw)
    return raw[:end] + raw[start:end] * random.choice((1, 2, 50)) + raw[end:]


def _other(random: random.Random, raw: bytes, corpus: list[bytes]) -> bytes:
    other = random.choice(corpus)
    start, end = _spot(random, other)
    at, to = _spot(random, raw)
    return raw[:at] + other[start : end + random.choice((0, 100))] + raw[to:]


def _lines(random: random.Random, raw: bytes, corpus: list[bytes]) -> bytes:
    """Move, double, drop, indent or take over a line."""
    lines = raw.splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    line = lines.pop(at)
    action = random.randrange(5)
    if action == 0:
        lines.insert(random.randrange(len(lines) + 1), line)
    elif action == 1:
        lines[at:at] = [line, line]
    elif action == 2:
        lines.insert(at, b" " * random.choice((1, 2, 4)) + line)
    elif action == 3:
        lines[at:at] = [line, random.choice(random.choice(corpus).splitlines(keepends=True) or [b""])]
    return b"".join(lines)


MUTATIONS = [_bytes, _token, _token, _remove, _repeat, _other, _lines, _lines]


def use(raw: bytes, random: random.Random) -> str:
    """Do with a file all that commands do that need no code; says how far it came.

    Raises:
        PulpoError: It is refused.
    """
    document = read(decode(raw, "lock"), "lock")
    _places(document)
    _edit(document, random)
    manifest = validate(document)
    again = validate(read(dumps(manifest.data()), "lock"))
    if again.data() != manifest.data():
        raise AssertionError("what is written is not what was read")
    if errors(check_manifest(manifest)):
        return "refused by check"
    for form in ("mermaid", "dot", "json"):
        render(manifest, form)
    OrchestrationCompiler(manifest).compile()
    return "compiled"


def _places(document: Document) -> None:
    """Every place lies in the text."""
    lines = re.split(r"\r\n|\r|\n", document.text)
    for path in _paths(document.data):
        place = document.locate(path)
        end = (place.end_line or place.line, place.end_column or place.column)
        if not (1 <= place.line <= len(lines) and 1 <= place.column <= len(lines[place.line - 1]) + 1):
            raise AssertionError(f"a place outside of the file: {place}")
        if end < (place.line, place.column):
            raise AssertionError(f"a place that ends before it begins: {place}")


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _paths(value, (*path, key))


def _edit(document: Document, random: random.Random) -> None:
    """Change the data somewhat and splice it: the new text has to say just that, and nothing has to change where nothing did."""
    if not isinstance(document.data, dict):
        return
    if splice(document, document.data) != document.text:
        raise AssertionError("no change of data changed the text")
    wanted = copy.deepcopy(document.data)
    inner = [wanted]
    for path in list(_paths(wanted)):
        value = wanted
        for part in path:
            value = value[part]
        if isinstance(value, (dict, list)):
            inner.append(value)
    for _ in range(random.choice((1, 1, 3))):
        _change(random, random.choice(inner))
    try:
        text = splice(document, wanted)
    except DiagnosticsError as error:
        if any(d.code == "PLP006" for d in error.diagnostics):
            return
        raise AssertionError(f"can't be spliced: {error}") from error
    if read(text, "lock").data != wanted:
        raise AssertionError("the spliced text says something else")


def _change(random: random.Random, container: Any) -> None:
    value = random.choice((5, "a: b", "", None, True, 1.5, [], {}, [1, {"b": 2}], {"k": "v", "l": [1]}, "two\nlines\n", "é😀"))
    value = copy.deepcopy(value)
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    action = random.randrange(3)
    if not keys or action == 0:
        container.update({random.choice(("x-new", "a", "operations")): value}) if isinstance(
            container, dict
        ) else container.append(value)
    elif action == 1:
        del container[random.choice(keys)]
    else:
        container[random.choice(keys)] = value


class Fuzzer:
    """Runs inputs and keeps account."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ends: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.messages: set[str] = set()
        self.found: dict[str, tuple[bytes, str]] = {}
        self.slowest = 0.0

    def try_one(self, raw: bytes) -> None:
        state = self.random.getstate()
        before = time.process_time()
        try:
            self.ends[use(raw, self.random)] += 1
        except DiagnosticsError as error:
            self.ends["refused"] += 1
            self.codes.update({d.code for d in error.diagnostics})
            self.messages |= {re.sub(r": .*", "", d.message, flags=re.DOTALL) for d in error.diagnostics}
            str(error)
        except PulpoError as error:
            self.ends["refused"] += 1
            self.messages.add(type(error).__name__)
        except (Exception, RecursionError, MemoryError) as error:
            self._keep(raw, f"{type(error).__name__} {_where(error)}", "".join(traceback.format_exception(error)[-6:]))
        self.random.setstate(state)
        self.random.random()
        taken = time.process_time() - before
        self.slowest = max(self.slowest, taken)
        if taken > SECONDS:
            self._keep(raw, "slow", f"{taken:.1f} s")

    def _keep(self, raw: bytes, kind: str, report: str) -> None:
        self.ends[f"BAD: {kind}"] += 1
        known = self.found.get(kind)
        if known is None or len(raw) < len(known[0]):
            self.found[kind] = raw, report

    def summary(self) -> str:
        ends = ", ".join(f"{count:,} {end}" for end, count in self.ends.most_common())
        codes = ", ".join(f"{code} {count:,}" for code, count in sorted(self.codes.items()))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return (
            f"{self.ends.total():,} inputs: {ends}\ncodes: {codes}\n{len(self.messages)} different messages; "
            f"slowest {self.slowest:.2f} s; peak {peak} MB; {len(self.found)} kinds of failures"
        )


def _where(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f"{os.sep}pulpo{os.sep}" in f.filename]
    last = frames[-1] if frames else None
    place = f"{Path(last.filename).name}:{last.name}" if last else "fuzzer"
    return f"{place} {re.sub(r'[^a-z ]', '', str(error))[:40]}" if isinstance(error, AssertionError) else place


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES * 2**20, MEGABYTES * 2**20))
    fuzzer = Fuzzer(options.seed)
    corpus = seeds()
    for raw in corpus:
        if len(raw) <= LONGEST:
            fuzzer.try_one(raw)
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        fuzzer.try_one(mutated(fuzzer.random, corpus))
        if fuzzer.ends.total() % 1000 == 0:
            gc.collect()
    print(f"seed {options.seed}\n{fuzzer.summary()}")
    for kind, (raw, report) in sorted(fuzzer.found.items()):
        path = FOUND / f"{hashlib.sha256(raw).hexdigest()[:12]}.yaml"
        path.write_bytes(raw)
        print(f"\n{kind}: {path}\n{report}")
    return 1 if fuzzer.found else 0


if __name__ == "__main__":
    sys.exit(main())
