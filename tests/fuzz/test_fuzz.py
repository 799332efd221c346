"""What the fuzzer starts from and what it found: each is accepted, or refused in words, at once."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import time
from pathlib import Path

import pytest

from pulpo.errors import PulpoError

_SPEC = importlib.util.spec_from_file_location("fuzz_manifest", Path(__file__).with_name("fuzz_manifest.py"))
assert _SPEC
assert _SPEC.loader
fuzz = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(fuzz)


def _used(raw: bytes, seed: int) -> None:
    with contextlib.suppress(PulpoError):
        fuzz.use(raw, random.Random(seed))


@pytest.mark.parametrize("path", sorted(fuzz.FOUND.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_was_found_once_is_read_or_refused(path: Path) -> None:
    before = time.process_time()
    for seed in range(20):
        _used(path.read_bytes(), seed)
    assert time.process_time() - before < 20 * fuzz.SECONDS


def test_seeds_are_read_or_refused() -> None:
    for raw in fuzz.seeds():
        if len(raw) <= fuzz.LONGEST:
            _used(raw, 0)


def test_mutated_seeds_are_read_or_refused() -> None:
    fuzzer = fuzz.Fuzzer(7)
    corpus = fuzz.seeds()
    for _ in range(300):
        fuzzer.try_one(fuzz.mutated(fuzzer.random, corpus))
    assert not fuzzer.found, fuzzer.summary()
    assert fuzzer.ends["compiled"]
    assert fuzzer.ends["refused"] > 10
