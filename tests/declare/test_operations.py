"""What a function's signature becomes."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("annotation", "spec"),
    [
        ("RawJob", {"model": "RawJob"}),
        ("'RawJob'", {"model": "RawJob"}),
        ("RawJob | None", {"model": "RawJob", "optional": True}),
        ("Optional[RawJob]", {"model": "RawJob", "optional": True}),
        ("list[RawJob]", {"model": "RawJob", "mode": "all"}),
        ("Sequence[RawJob]", {"model": "RawJob", "mode": "all"}),
        ("dict[str, RawJob]", {"model": "RawJob", "mode": "keyed"}),
        ("dict[str, list[RawJob]]", {"model": "RawJob", "mode": "keyed", "many": True}),
        ("Annotated[RawJob, From('a.*')]", {"model": "RawJob", "select": ["a.*"]}),
        ("Annotated[list[RawJob], From('a.*', '.b')]", {"model": "RawJob", "mode": "all", "select": ["a.*", ".b"]}),
        ("Previous[RawJob] | None", {"model": "RawJob", "mode": "previous", "optional": True}),
        ("Previous[list[RawJob]]", {"model": "RawJob", "mode": "previous", "many": True}),
    ],
)
def test_an_annotation_with_a_model_is_an_input(operation_of, annotation, spec):
    entry = operation_of(f"@operation\ndef clean(raw: {annotation}) -> None: ...")
    assert entry["inputs"] == {"raw": spec}
    assert "parameters" not in entry


@pytest.mark.parametrize(
    ("annotation", "outputs"),
    [
        ("None", []),
        ("RawJob", [{"model": "RawJob"}]),
        ("list[RawJob]", [{"model": "RawJob", "many": True}]),
        ("RawJob | None", [{"model": "RawJob", "optional": True}]),
        ("tuple[RawJob, list[CleanJob]]", [{"model": "RawJob"}, {"model": "CleanJob", "many": True}]),
    ],
)
def test_the_return_annotation_gives_the_outputs(operation_of, annotation, outputs):
    assert operation_of(f"@operation\ndef fetch() -> {annotation}: ...")["outputs"] == outputs


def test_every_other_parameter_is_a_parameter_with_its_schema_and_default(operation_of):
    entry = operation_of("@operation\ndef fetch(words: list[str], limit: int = 5, since: str | None = None) -> RawJob: ...")
    assert entry["parameters"] == {
        "words": {"schema": {"type": "array", "items": {"type": "string"}}},
        "limit": {"schema": {"type": "integer"}, "default": 5},
        "since": {"schema": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "default": None},
    }


def test_async_and_sync_are_told_apart_through_partials_and_instances(declare):
    lowered = declare(
        """
        @operation
        async def one() -> None: ...
        @operation
        def two() -> None: ...
        three = operation(name="three")(functools.partial(one))
        class Caller:
            async def __call__(self) -> None: ...
        four = operation(name="four")(Caller())
        """
    )
    assert lowered.diagnostics == []
    assert {name: entry["async"] for name, entry in lowered.operations.items()} == {
        "one": True,
        "two": False,
        "three": True,
        "four": True,
    }
    assert lowered.operations["three"]["entrypoint"] == "shop.code:three"


def test_settings_are_written_as_the_manifest_writes_them(operation_of):
    entry = operation_of(
        """
        import datetime as dt
        @operation("a.b", retries=3, retry_delay=dt.timedelta(minutes=1), timeout=5, tags="x", after="a.c", cache=True, version=2)
        def b() -> RawJob:
            "Do it.\\n\\nAnd more."
        """
    )
    settings = {
        k: v
        for k, v in entry.items()
        if k in ("retries", "retry_delay", "timeout", "tags", "after", "cache", "version", "description")
    }
    assert settings == {
        "retries": 3, "retry_delay": 60.0, "timeout": 5.0, "tags": ["x"], "after": ["a.c"], "cache": {}, "version": "2", "description": "Do it.",
    }  # fmt: skip


def test_inputs_and_outputs_supply_what_annotations_lack(operation_of):
    entry = operation_of("@operation('a.merge', inputs=RawJob, outputs=CleanJob)\ndef merge(stepstone, linkedin): ...")
    assert entry["inputs"] == {"stepstone": {"model": "RawJob"}, "linkedin": {"model": "RawJob"}}
    assert entry["outputs"] == [{"model": "CleanJob"}]


def test_base_model_as_inputs_means_nothing(operation_of):
    assert operation_of("@operation(inputs=BaseModel, outputs=RawJob)\nasync def fetch() -> RawJob: ...")["inputs"] == {}


def test_an_undeclared_pydantic_model_as_inputs_gives_its_fields_as_parameters(operation_of):
    entry = operation_of(
        """
        class Search(BaseModel):
            words: list[str]
            limit: int = 5
        @operation(inputs=Search)
        def fetch(search: Search) -> RawJob: ...
        """
    )
    assert entry["parameter_objects"] == {"search": "shop.code:Search"}
    assert entry["parameters"] == {
        "words": {"schema": {"type": "array", "items": {"type": "string"}}, "argument": "search"},
        "limit": {"schema": {"type": "integer"}, "default": 5, "argument": "search"},
    }


def test_models_in_and_out_take_classes_and_names(operation_of):
    entry = operation_of("@operation(models_in=RawJob, models_out=['CleanJob'])\ndef sweep() -> None: ...")
    assert (entry["models_in"], entry["models_out"]) == (["RawJob"], ["CleanJob"])


def test_a_wrapped_function_is_imported_through_its_wrapper(operation_of):
    entry = operation_of(
        """
        def loud(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper
        @loud
        @operation
        def fetch() -> RawJob: ...
        """
    )
    assert entry["entrypoint"] == "shop.code:fetch"


def test_the_decorated_thing_stays_what_it_was(declare):
    import sys

    declare(
        """
        @operation
        def double(x: int) -> None:
            return x * 2
        class Child(RawJob):
            extra: int
        """
    )
    code = sys.modules["shop.code"]
    assert code.double(2) == 4
    assert code.Child(url="u", extra=1).extra == 1


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("@operation\ndef f() -> Iterator[RawJob]:\n    yield", "PLP110", "a generator can't be an operation"),
        (
            "@operation('f')\nclass F:\n    def __call__(self) -> None: ...",
            "PLP110",
            "a class is not an operation: calling it makes an instance",
        ),
        ("class C:\n    @operation\n    def f(self) -> None: ...", "PLP110", "a method needs an instance: C.f"),
        (
            "@operation\ndef f(*jobs: RawJob) -> None: ...",
            "PLP110",
            "an operation is called by name, which a variadic positional parameter does not allow: jobs",
        ),
        ("T = TypeVar('T')\n@operation\ndef f(x: T) -> None: ...", "PLP110", "~T is a TypeVar, which names no type"),
        (
            "@operation\ndef f(x: Missing) -> None: ...",
            "PLP112",
            "the annotation of x can't be resolved: NameError: name 'Missing' is not defined",
        ),
        (
            "class Sub(RawJob): ...\n@operation\ndef f(x: Sub) -> None: ...",
            "PLP115",
            "Sub is not declared; its base RawJob is, but models match by exact class",
        ),
        (
            "class Other(BaseModel): ...\n@operation\ndef f() -> list[Other]: ...",
            "PLP115",
            "it returns Other, which is not declared",
        ),
        (
            "class Other(BaseModel): ...\n@operation\ndef f(x: Other) -> None: ...",
            "PLP115",
            "Other is not declared, so x is a parameter of the run",
        ),
        ("@operation\ndef f() -> int: ...", "PLP115", "it returns int, which is no declared model: the value goes nowhere"),
        (
            "@operation(inputs=CleanJob)\ndef f(x: RawJob) -> None: ...",
            "PLP113",
            "inputs= says CleanJob, the annotations say RawJob",
        ),
        (
            "@operation(outputs=CleanJob)\ndef f() -> RawJob: ...",
            "PLP113",
            "outputs= says CleanJob, the return annotation says RawJob",
        ),
        (
            "@operation(inputs={'y': RawJob})\ndef f(x: RawJob) -> None: ...",
            "PLP113",
            "inputs= names a parameter that the function does not have: y",
        ),
        ("@operation(retries=-1)\ndef f() -> None: ...", "PLP114", "must be greater than or equal to 0: -1"),
        ("@operation(on_error='explode')\ndef f() -> None: ...", "PLP114", "must be 'fail' or 'skip': 'explode'"),
        (
            "@operation('A.b')\ndef f() -> None: ...",
            "PLP102",
            "a segment is lower case letters, digits and _, beginning with a letter, not 'A'",
        ),
        ("@operation('a.class')\ndef f() -> None: ...", "PLP102", "'class' is a Python keyword"),
        (
            "@operation\ndef f(x: RawJob | CleanJob) -> None: ...",
            "PLP110",
            "RawJob | CleanJob is not a way in which Pulpo can pass RawJob",
        ),
        ("@operation\ndef f(x: RawJob = 5) -> None: ...", "PLP110", "the default of an input can only be None: x"),
        (
            "@operation\ndef f(x: SecretStr = SecretStr('s')) -> None: ...",
            "PLP110",
            "the default of x can't be written down: it is a secret, and the manifest is no place for one",
        ),
        (
            "def outer():\n    @operation\n    def f() -> None: ...\nouter()",
            "PLP116",
            "outer.<locals>.f can't be imported from shop.code",
        ),
        (
            "@operation\ndef f(x: Annotated[int, From('a')]) -> None: ...",
            "PLP115",
            "From is about a declared model, which int is not",
        ),
    ],
)
def test_what_can_not_be_an_operation_is_said(problems_of, text, code, message):
    found = problems_of(text)
    assert [(c, m.replace("shop.code.", "")) for c, m in found] == [(code, message)]


def test_two_operations_of_one_name_are_reported_with_both_places(declare):
    (problem,) = declare("@operation('a')\ndef f() -> None: ...\n@operation('a')\ndef g() -> None: ...").diagnostics
    assert problem.code == "PLP111"
    assert str(problem.place).startswith("shop/code.py:16")
    assert str(problem.related[0].place).startswith("shop/code.py:14")


def test_all_problems_are_reported_at_once(problems_of):
    text = "@operation\ndef f(x: Missing, y: Gone) -> Nope: ...\n@operation(retries=-1)\ndef g() -> None: ..."
    assert [code for code, _ in problems_of(text)] == ["PLP112", "PLP112", "PLP112", "PLP114"]


def test_sets_are_written_in_one_order_whatever_their_own(operation_of):
    entry = operation_of("@operation(tags={'c', 'a', 'b'})\ndef f(words: set[str] = {'z', 'x', 'y'}) -> None: ...")
    assert entry["tags"] == ["a", "b", "c"]
    assert entry["parameters"]["words"]["default"] == ["x", "y", "z"]


def test_patterns_may_be_given_as_a_list(operation_of):
    assert operation_of("@operation\ndef f(x: Annotated[RawJob, From(['a.*', 'b'])]) -> None: ...")["inputs"]["x"]["select"] == [
        "a.*",
        "b",
    ]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("@operation\ndef f(x: Annotated[RawJob, From]) -> None: ...", "PLP110", "From needs patterns"),
        ("@operation\ndef f(x: Annotated[RawJob, From()]) -> None: ...", "PLP110", "From needs patterns"),
        (
            "@operation\ndef f(x: list[float] = [1.5, float('nan')]) -> None: ...",
            "PLP110",
            "the default of x can't be written down: nan has no JSON form",
        ),
        ("@operation(previously=5)\ndef f() -> None: ...", "PLP114", "earlier names are strings: 5"),
        ("for n in (1, 2):\n    @operation('same', retries=n)\n    def f() -> None: ...", "PLP111", "same is declared twice"),
        (
            "@datamodel('Again')\n@datamodel('First')\nclass X(BaseModel):\n    a: int",
            "PLP111",
            "the class is declared already, as Again",
        ),
    ],
)
def test_more_of_what_can_not_be_is_said(problems_of, text, code, message):
    assert (code, message) in problems_of(text)


def test_an_undefined_name_in_an_annotation_is_told_a_near_one(declare):
    (problem,) = declare("@operation\ndef f(x: RawJbo) -> None: ...").diagnostics
    assert (problem.code, problem.hint) == ("PLP112", "did you mean 'RawJob'?")
