"""Which modules are imported, and what stops it."""

from __future__ import annotations

import pytest

from pulpo.declare.discover import add_to_path, import_modules
from pulpo.declare.registry import REGISTRY
from pulpo.errors import DiagnosticsError, UsageError

OPERATION = 'from pulpo import operation\n\n@operation("{name}")\ndef work() -> None: ...\n'


@pytest.fixture
def discovered(tmp_path, fresh_imports):
    def _discovered(*modules: str) -> list[str]:
        add_to_path(tmp_path)
        import_modules(modules, tmp_path)
        return sorted(d.name for d in REGISTRY.operations)

    return _discovered


def test_packages_are_imported_with_everything_below_them(write, discovered):
    write("deep/__init__.py", "")
    write("deep/one.py", OPERATION.format(name="one"))
    write("deep/__main__.py", "raise SystemExit('ran')")
    write("deep/bare/two.py", OPERATION.format(name="two"))
    write("deep/bare/more/three.py", OPERATION.format(name="three"))
    assert discovered("deep") == ["one", "three", "two"]


def test_a_package_without_init_and_one_in_src_are_packages(write, discovered):
    write("bare/one.py", OPERATION.format(name="one"))
    write("src/inner/two.py", OPERATION.format(name="two"))
    assert discovered("bare", "inner") == ["one", "two"]


def test_a_module_named_like_one_of_python_is_refused(write, discovered):
    write("calendar.py", OPERATION.format(name="one"))
    with pytest.raises(UsageError, match=r"calendar is not .*calendar\.py, but what Python has of that name"):
        discovered("calendar")


def test_what_a_module_prints_goes_to_stderr(write, discovered, capsys):
    write("loud.py", "print('hello')\n")
    discovered("loud")
    assert capsys.readouterr() == ("", "hello\n")


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "raise BaseException('x')", "import no_such_library", "def broken(:"])
def test_whatever_ends_an_import_is_told_with_its_place(write, discovered, text):
    write("bad.py", f"\n{text}\n")
    with pytest.raises(DiagnosticsError) as raised:
        discovered("bad")
    (problem,) = raised.value.diagnostics
    assert (problem.code, problem.place.file.endswith("bad.py"), problem.place.line) == ("PLP118", True, 1)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("from pulpo import operation\n@operation('a', retrys=3)\ndef f() -> None: ...", "did you mean 'retries'?"),
        ("from pulpo import operation\n@operation('a', needs=['b'])\ndef f() -> None: ...", "it is called 'after' here"),
        ("from pulpo import operation\n@operation('a', nothing_like_it=3)\ndef f() -> None: ...", None),
        ("from pulpo import datamodel\n@datamodel(keys='a')\nclass X: ...", "did you mean 'key'?"),
        ("from pulpo import opration", "did you mean 'operation'?"),
        ("limit = 3\nprint(limitt)", "did you mean 'limit'?"),
        ("def f(limit):\n    return limitt\nf(3)", "did you mean 'limit'?"),
        ("prnit('x')", "did you mean 'print'?"),
        ("unlike_anything", None),
        ("from pulpo.no_such_module import x", None),
    ],
)
def test_a_name_that_is_not_there_is_told_a_near_one(write, discovered, text, hint):
    write("bad.py", f"{text}\n")
    with pytest.raises(DiagnosticsError) as raised:
        discovered("bad")
    (problem,) = raised.value.diagnostics
    assert problem.hint == hint


def test_a_path_for_a_module_is_told_how_to_write_it(discovered):
    with pytest.raises(UsageError) as raised:
        discovered("src/jobs.py")
    assert raised.value.hint == "write it as it is imported: src.jobs"
