"""Where a problem of the code is: the piece of the source that a manifest path is about."""

from __future__ import annotations

import importlib
import os
import sys
import zipfile

import pytest

from pulpo.declare.discover import add_to_path, import_modules
from pulpo.declare.lower import lower
from pulpo.declare.registry import REGISTRY
from pulpo.errors import DiagnosticsError

CODE = '''
from typing import Annotated
from functools import partial
import functools
from pydantic import BaseModel, ConfigDict, Field
import dataclasses
import pulpo
from pulpo import From, Previous, datamodel, operation
from shop.base import Stored

class Local(BaseModel):
    inherited: int = 3

@datamodel(
    "Raw",
    description="A raw job.", key=["url", "città"],
    indexes=(("url", "url2"), "città"), tags="new",
)
class RawJob(Stored, Local):
    """Not this one."""
    url: str
    città: Annotated[str, "é"] = "é"; url2: str = "x"
    aliased: int = Field(alias="other", default=1)
    model_config = ConfigDict(populate_by_name=True)

@datamodel
class Clean(BaseModel):
    """A clean job."""
    title: str

@datamodel(key="a")
@dataclasses.dataclass
class Plain:
    a: int

class Options(BaseModel):
    depth: int = 2
    words: list[str] = []

@operation(
    "parsing.clean",
    retries=3, cache={"ttl": 60},
    tags=["é", "b"],
    after=("parsing.other",), previously=["parsing.tidy", "parsing.wash"],
    models_out=[RawJob, "Plain"],
)
async def clean(
    größe: int, raw: Annotated[list[RawJob], From("parsing.*")], limit: int = 10,
    *, two: Annotated[RawJob | None, From("a.*", "b.*")] = None, named: "list[Plain]" = None,
) -> tuple[Clean, "RawJob"]:
    """Cleans.

    More.
    """

@operation
def bare(x: Clean) -> Clean: ...

@operation(inputs=[Options], outputs=[Clean, RawJob])
def loose(options: Options, /**/): ...

@operation("mixed.some")
def mixed() -> tuple[int, Clean]: ...

for name in ("loop.one", "loop.two"):
    operation(name, retries=7)(lambda raw=None: None)
operation("called.once", retries=8)(bare), operation("called.twice", retries=9)(bare)

register = partial(operation, timeout=4.0)
register("part.ial", retries=5)(partial(bare, x=None))

def op(name, **more):
    return pulpo.operation("prefixed." + name, **more)

settings = {"retries": 6}
@op("hidden", **settings)
@functools.lru_cache
def hidden(x: Clean = None) -> None: ...
'''.replace("options: Options, /**/", "options: Options")

BASE = """
from pydantic import BaseModel

class Stored(BaseModel):
    '''Of another file.'''
    stored_at: float = 0.0
"""


@pytest.fixture
def project(write, tmp_path, fresh_imports):
    """Lowers `shop.code`; `locate(path)` gives what is written at the place of a dotted path, or the place without an end."""

    class Project:
        root = tmp_path

        def lower(self, text: str = CODE):
            write("shop/__init__.py", "")
            write("shop/base.py", BASE)
            self.path = write("shop/code.py", text)
            add_to_path(tmp_path)
            import_modules(["shop"], tmp_path)
            self.lowered = lower(REGISTRY, tmp_path)
            return self

        def at(self, *path):
            return self.text_of(self.lowered.locate(path))

        def text_of(self, place):
            if place.end_line is None:
                return str(place)
            lines = (tmp_path / place.file).read_text(encoding="utf-8").split("\n")[place.line - 1 : place.end_line]
            lines[-1] = lines[-1][: place.end_column - 1]
            lines[0] = lines[0][place.column - 1 :]
            return "\n".join(lines)

    return Project()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", '"parsing.clean"'),
        ("retries", "3"),
        ("cache", '{"ttl": 60}'),
        ("cache ttl", "60"),
        ("tags 0", '"é"'),
        ("tags 1", '"b"'),
        ("after", '("parsing.other",)'),
        ("after 0", '"parsing.other"'),
        ("previously 1", '"parsing.wash"'),
        ("models_out 0", '"Plain"'),
        ("models_out 1", '[RawJob, "Plain"]'),  # the model Raw has another name in the code
        ("entrypoint", "clean"),
        ("async", "clean"),
        ("description", '"""Cleans.\n\n    More.\n    """'),
        ("parameters größe", "größe: int"),
        ("parameters größe schema", "int"),
        ("parameters größe default", "größe: int"),
        ("parameters limit default", "10"),
        ("inputs raw", 'raw: Annotated[list[RawJob], From("parsing.*")]'),
        ("inputs raw mode", 'Annotated[list[RawJob], From("parsing.*")]'),
        ("inputs raw select 0", 'From("parsing.*")'),
        ("inputs raw from", 'From("parsing.*")'),
        ("inputs two select", 'From("a.*", "b.*")'),
        ("inputs two select 1", '"b.*"'),
        ("inputs two model", 'Annotated[RawJob | None, From("a.*", "b.*")]'),
        ("inputs named model", '"list[Plain]"'),
        ("inputs", "clean"),
        ("outputs", 'tuple[Clean, "RawJob"]'),
        ("outputs 0 model", "Clean"),
        ("outputs 1", '"RawJob"'),
        ("concurrency", '"parsing.clean"'),  # not given
    ],
)
def test_an_operation_s_parts(project, path, text):
    parts = [int(p) if p.isdigit() else p for p in path.split()]
    assert project.lower().at("operations", "parsing.clean", *parts) == text


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("bare", (), "bare"),
        ("bare", ("outputs", 0), "Clean"),
        ("bare", ("retries",), "bare"),
        ("loose", ("inputs",), "[Options]"),
        ("loose", ("outputs", 1), "RawJob"),
        ("loose", ("outputs",), "[Clean, RawJob]"),
        ("loose", ("parameters", "depth"), "depth: int = 2"),
        ("loose", ("parameters", "words", "schema", "items"), "list[str]"),
        ("loose", ("parameters", "words", "default"), "[]"),
        ("loose", ("parameter_objects", "options"), "Options"),
        ("mixed.some", ("outputs", 0), "tuple[int, Clean]"),  # which element it was is not written down
        ("loop.one", (), "name"),
        ("loop.two", ("retries",), "7"),
        ("loop.two", ("parameters", "raw"), "raw"),
        ("called.once", (), '"called.once"'),
        ("called.twice", ("retries",), "9"),
        ("called.twice", ("inputs", "x"), "x: Clean"),
        ("part.ial", ("retries",), "5"),
        ("part.ial", ("timeout",), 'register("part.ial", retries=5)'),
        ("prefixed.hidden", (), 'op("hidden", **settings)'),
        ("prefixed.hidden", ("retries",), 'op("hidden", **settings)'),
        ("prefixed.hidden", ("inputs", "x", "optional"), "Clean"),
        ("prefixed.hidden", ("entrypoint",), "hidden"),
    ],
)
def test_whatever_way_an_operation_is_declared(project, name, path, text):
    if path[:1] == ("parameter_objects",):
        text = f"options: {text}" if len(path) == 2 else text
        assert project.lower().at("operations", name, *path) in (text, "Options")
    else:
        assert project.lower().at("operations", name, *path) == text


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("Raw", (), '"Raw"'),
        ("Raw", ("key",), '["url", "città"]'),
        ("Raw", ("key", 1), '"città"'),
        ("Raw", ("indexes", 0, 1), '"url2"'),
        ("Raw", ("tags", 0), '"new"'),
        ("Raw", ("description",), '"A raw job."'),
        ("Raw", ("entrypoint",), "RawJob"),
        ("Raw", ("collection",), '"Raw"'),
        ("Raw", ("schema",), "RawJob"),
        ("Raw", ("schema", "properties", "città"), 'città: Annotated[str, "é"] = "é"'),
        ("Raw", ("schema", "properties", "url2", "default"), '"x"'),
        ("Raw", ("schema", "properties", "url2", "type"), "str"),
        ("Raw", ("schema", "properties", "other"), 'aliased: int = Field(alias="other", default=1)'),
        ("Raw", ("schema", "required", 0), "url: str"),
        ("Raw", ("schema", "properties", "inherited"), "inherited: int = 3"),
        ("Raw", ("schema", "properties", "stored_at"), "stored_at: float = 0.0"),
        ("Raw", ("schema", "properties", "nothing"), "RawJob"),
        ("Clean", (), "Clean"),
        ("Clean", ("description",), '"""A clean job."""'),
        ("Plain", ("key", 0), '"a"'),
        ("Plain", ("schema", "properties", "a"), "a: int"),
    ],
)
def test_a_model_s_parts(project, name, path, text):
    assert project.lower().at("models", name, *path) == text


def test_columns_are_characters_and_an_inherited_field_is_in_its_own_file(project):
    lowered = project.lower().lowered
    place = lowered.locate(("models", "Raw", "schema", "properties", "url2", "default"))
    line = next(x for x in project.path.read_text(encoding="utf-8").split("\n") if "città: " in x)
    assert place.column == line.index('"x"') + 1
    assert lowered.locate(("models", "Raw", "schema", "properties", "stored_at")).file == "shop/base.py"


def test_what_is_not_declared_has_no_place(project):
    lowered = project.lower().lowered
    assert [lowered.locate(p) for p in [(), ("operations",), ("operations", "no"), ("flows", "parsing")]] == [None] * 4


HEAD = "from typing import Annotated, TypeVar\nfrom pydantic import BaseModel, SecretStr, Field\nfrom pulpo import *\nimport dataclasses\n@datamodel\nclass M(BaseModel):\n    a: int\nclass Other(BaseModel):\n    b: int\n"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("@operation('A.b')\ndef f() -> None: ...", "'A.b'"),
        ("@operation\ndef Big() -> None: ...", "Big"),
        ("@operation(['a'])\ndef f() -> None: ...", "['a']"),
        ("@operation(\n  name='pipeline')\ndef f() -> None: ...", "'pipeline'"),
        ("@operation(name='a')\ndef f() -> None: ...\n@operation(  'a')\ndef g() -> None: ...", "'a'"),
        ("@operation\ndef f(x: M, *, y: Missing) -> None: ...", None),
        ("@operation\ndef f(x: M, *, y: 'Missing') -> None: ...", "'Missing'"),
        ("@operation\ndef f(x: M) -> 'Missing': ...", "'Missing'"),
        ("@operation\ndef f(x: M = 5) -> None: ...", "5"),
        ("@operation\ndef f(x: SecretStr = SecretStr('s')) -> None: ...", "SecretStr('s')"),
        ("@operation\ndef f(x: M | Other) -> None: ...", "M | Other"),
        ("@operation\ndef f(x: Other) -> None: ...", "Other"),
        ("@operation\ndef f(*jobs: M) -> None: ...", "jobs: M"),
        ("@operation\ndef f() -> tuple[M, Other]: ...", "Other"),
        ("@operation\ndef f() -> dict[str, M]: ...", "dict[str, M]"),
        ("@operation(outputs=[M, Other])\ndef f(): ...", "Other"),
        ("@operation(outputs=list[M])\ndef f() -> None: ...", "list[M]"),
        ("@operation(inputs={'z': M})\ndef f(x: M) -> None: ...", "M"),
        ("@operation(inputs=M)\ndef f(x: int) -> None: ...", "M"),
        ("@operation\ndef f(x: M): ...", "f"),
        ("@operation\ndef f() -> list[M]:\n    yield", "f"),
        ("@operation('f')\nclass F: ...", "F"),
        ("@operation('f', retries=-1)\ndef f() -> None: ...", "-1"),
        ("@operation(models_out=[M, Other])\ndef f() -> None: ...", "Other"),
        ("@operation(tags=['a', 3])\ndef f() -> None: ...", "3"),
        ("@operation(cache={'ttl': -1})\ndef f() -> None: ...", "-1"),
        ("(\n  operation\n  (\n 'A.c', retries=1)(\n  len))", "'A.c'"),
        ("import pulpo\n(pulpo\n .operation(\n 'A.c'))(\n  lambda: 1)", "'A.c'"),
        ("@operation(previously=3)\ndef f() -> None: ...", "3"),
        ("def outer():\n    @operation\n    def f() -> None: ...\nouter()", "f"),
        ("@datamodel('No-Name')\nclass F(BaseModel): ...", "'No-Name'"),
        ("@datamodel\nclass F: ...", "F"),
        ("@datamodel(collection='$')\nclass F(BaseModel): ...", "'$'"),
        ("@datamodel\nclass F(BaseModel):\n    a: SecretStr", "F"),
        ("@datamodel\nclass F(BaseModel):\n    a: int\n    b: int = Field(1, exclude=True)", "b: int = Field(1, exclude=True)"),
        (
            "@datamodel\n@dataclasses.dataclass\nclass F:\n    a: int\n    b: dataclasses.InitVar[int]",
            "b: dataclasses.InitVar[int]",
        ),
    ],
)
def test_a_problem_is_at_what_it_is_about(project, text, at):
    if at is None:  # it fails at the import
        with pytest.raises(DiagnosticsError) as raised:
            project.lower(HEAD + text)
        (problem,) = raised.value.diagnostics
        assert (problem.place.line, problem.place.column) == (11, 19)
        return
    (problem, *_) = project.lower(HEAD + text).lowered.diagnostics
    assert project.text_of(problem.place) == at
    assert [project.text_of(r.place) for r in problem.related] == (["'a'"] if problem.code == "PLP111" else [])


SIMPLE = "from pulpo import operation\n\n@operation('a.b', retries=3)\ndef f(x: int = 2) -> None: ...\n"


@pytest.mark.parametrize("change", ["touched", "gone", "not Python", "not UTF-8", "a directory", "deep"])
def test_a_file_that_is_another_one_now_has_the_lines_that_are_known(project, change):
    project.lower(SIMPLE)
    path = project.path
    before = path.stat()
    if change == "touched":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    elif change in ("gone", "a directory"):
        path.unlink()
        if change == "a directory":
            path.mkdir()
    else:
        content = {"not Python": b"def (", "not UTF-8": b"x = '\xff'", "deep": b"(" * 5000}[change]
        path.write_bytes(content.ljust(before.st_size))
        REGISTRY.files.clear()
    assert project.at("operations", "a.b", "retries") == "shop/code.py:3:1"
    assert str(project.lowered.locate(("operations", "a.b"))) == "shop/code.py:3:1"


def test_a_module_that_is_run_again_has_the_places_of_its_new_text(project):
    project.lower(SIMPLE)
    project.path.write_text("\n\n" + SIMPLE)
    REGISTRY.operations.clear()
    importlib.invalidate_caches()
    importlib.reload(sys.modules["shop.code"])
    lowered = lower(REGISTRY, project.root)
    place = lowered.locate(("operations", "a.b", "retries"))
    assert (str(place), project.text_of(place)) == ("shop/code.py:5:27", "3")


def test_code_without_a_file_has_the_line_that_is_known(project):
    project.lower("")
    scope = {"__name__": "shop.code"}
    exec(compile(SIMPLE, "<ipython-input-3>", "exec"), scope)
    sys.modules["shop.code"].f = scope["f"]
    lowered = lower(REGISTRY, project.root)
    paths = [(), ("retries",), ("parameters", "x", "default"), ("outputs",), ("description",)]
    assert {str(lowered.locate(("operations", "a.b", *path))) for path in paths} == {"<ipython-input-3>:3:1"}


def test_code_in_an_archive_has_the_line_that_is_known(tmp_path, project):
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("zipped.py", SIMPLE)
    sys.path.insert(0, str(tmp_path / "code.zip"))
    importlib.import_module("zipped")
    place = lower(REGISTRY, tmp_path).locate(("operations", "a.b", "retries"))
    assert str(place) == "code.zip/zipped.py:3:1"


def test_an_encoding_that_the_file_names_counts_characters(project):
    project.lower("")
    path = project.root / "latin.py"
    path.write_bytes(
        "# coding: latin-1\nfrom pulpo import operation\n@operation('ö', tags=['ü', 'x'])\ndef f() -> None: ...\n".encode(
            "latin-1"
        )
    )
    importlib.import_module("latin")
    place = lower(REGISTRY, project.root).diagnostics[0].place
    assert (str(place), place.end_column) == ("latin.py:3:12", 15)


def test_several_declarations_that_a_line_could_mean_are_not_guessed(project):
    project.lower("from pulpo import operation\nn = 'a'\nm = 'b'\ndef f() -> None: ...\noperation(n)(f); operation(m)(f)\n")
    assert project.at("operations", "a") == "shop/code.py:5:1"


def test_what_has_hooks_of_its_own_breaks_no_place(project):
    project.lower("from pulpo import operation\n@operation('a')\ndef f(x: int = 1) -> None: ...\nf.__wrapped__ = f\n")
    (problem,) = project.lowered.diagnostics
    assert (problem.code, project.text_of(problem.place)) == ("PLP110", "f")
    assert project.at("operations", "a", "parameters", "x", "default") == "shop/code.py:2:1"


def test_a_base_class_of_a_library_is_not_looked_into(write, project):
    write(".venv/lib/site-packages/vendor.py", "from pydantic import BaseModel\nclass Base(BaseModel):\n    far: int\n")
    sys.path.insert(0, str(project.root / ".venv/lib/site-packages"))
    project.lower("from vendor import Base\nfrom pulpo import datamodel\n@datamodel\nclass M(Base):\n    near: int\n")
    assert project.at("models", "M", "schema", "properties", "far") == "M"


def test_nothing_is_read_where_nothing_is_asked(project, monkeypatch):
    opened = []
    monkeypatch.setattr("tokenize.open", opened.append)
    project.lower(SIMPLE)
    assert (list(project.lowered.operations), opened) == (["a.b"], [])


@pytest.mark.parametrize(
    ("text", "place", "end"),
    [
        ("é = 'é'; x = )", "1:14", None),
        ("é = 'é'; return 1", "1:10", (1, 18)),
        ("é = 'é'; f(x for x in y, 1)", "1:12", (1, 24)),
        ("é = 'é'; é.append(1)", "1:10", (1, 18)),
        ("x = (1 +\n  'é' + None)", "1:6", (2, 6)),
        ("import no_such_library", "1:1", (1, 23)),
        ("if True:\nx = 1", "2:1", (2, 2)),
    ],
)
def test_an_import_that_fails_is_at_what_failed(project, text, place, end):
    with pytest.raises(DiagnosticsError) as raised:
        project.lower(text)
    found = raised.value.diagnostics[0].place
    assert f"{found.line}:{found.column}" == place
    assert (found.end_line, found.end_column) == (end or (None, None))
