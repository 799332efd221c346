"""Forms from JSON Schemas: what nobody touches comes back as it was, what is typed becomes JSON, errors are at their fields."""

from __future__ import annotations

import datetime as dt
import enum
import json
import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model
from typing_extensions import TypedDict

from pulpo.ui.api_client import Fault
from pulpo.ui.forms import FormError, fields, parse, split_faults, wrong
from pulpo.ui.page import TEMPLATES


class Browser(HTMLParser):
    """What a browser would submit of a form that nobody touched; controls are found by name."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.form: dict[str, str] = {}
        self._area: str | None = None
        self._select: str | None = None
        # The parser of a browser: no NUL, one kind of newline.
        self.feed(html.replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        name = said.get("name", "")
        if tag == "input" and (said.get("type") != "checkbox" or "checked" in said):
            value = said.get("value", "")
            self.form[name] = value if said.get("type") == "hidden" else value.replace("\n", "").replace("\r", "")
        elif tag == "textarea":
            self._area, self.form[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (self._select not in self.form or "selected" in said):
            self.form[self._select] = said["value"]

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.form[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self.form[self._area] = self.form[self._area].removeprefix("\n").replace("\n", "\r\n")
            self._area = None
        elif tag == "select":
            self._select = None


def drawn(schema: dict[str, Any], value: Any = None, faults: tuple[Fault, ...] = ()) -> str:
    return TEMPLATES.from_string('{% from "form.html" import controls %}{{ controls(fields) }}').render(
        fields=fields(schema, value, faults)
    )


def submitted(schema: dict[str, Any], value: Any = None) -> dict[str, str]:
    return Browser(drawn(schema, value)).form


class Level(enum.StrEnum):
    JUNIOR = "junior"
    SENIOR = "senior"


class Rank(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    city: str
    street: str | None = None
    since: dt.date | None = None


class Extra(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str = "x"


class Node(BaseModel):
    name: str
    parent: Node | None = None
    children: list[Node] = []


class Loose(TypedDict, total=False):
    a: int
    b: str
    c: bool


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"


TYPES: list[Any] = [
    str, int, float, bool, str | None, int | None, float | None, bool | None, dt.date, dt.datetime, dt.datetime | None, dt.time,
    dt.timedelta, Decimal, Decimal | None, UUID, Level, Level | None, Rank, Literal["a", 1] | None, Literal["one"], list[str],
    list[str] | None, list[int], list[float], list[Level], list[bool], set[str], tuple[int, str], dict[str, int], dict[str, int] | None,
    Address, Address | None, list[Address], int | str, int | str | None, Any, Extra, Node, Loose, Annotated[Cat | Dog, Field(discriminator="kind")],
]  # fmt: skip
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\r\n",
        "\ra",
        "a\nb",
        "\n\na",
        "null",
        "true",
        "1",
        "\0",
        "a\0b",
        "<b>",
        '"&amp;',
        "</textarea>",
        "x" * 200,
        "é😀",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["name", "a.b", "a~b", "~", "städte", "with space", "x-y", "a/b", 'q"q', "~null", "a~was", "class"])
st.register_type_strategy(str, TEXTS)
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(Decimal, st.decimals(allow_nan=False, allow_infinity=False))
st.register_type_strategy(dt.datetime, st.datetimes(timezones=st.none() | st.timezones()))


@st.composite
def models(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema that pydantic makes, and a value of it as JSON."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    made: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for number, name in enumerate(names):
        kind = draw(st.sampled_from(TYPES))
        value = draw(JSON if kind is Any else nodes if kind is Node else st.from_type(kind))
        default = draw(st.sampled_from([..., None])) if _takes_none(kind) else ...
        made[f"f{number}"] = (kind, Field(default, alias=name))
        values[name] = value
    model = create_model("Made", **made)
    schema = model.model_json_schema(by_alias=True)
    return schema, json.loads(model.model_construct(**values).model_dump_json(by_alias=True, warnings=False))


def _takes_none(kind: Any) -> bool:
    return type(None) in getattr(kind, "__args__", ())


nodes = st.recursive(
    st.builds(Node, name=TEXTS), lambda inner: st.builds(Node, name=TEXTS, parent=st.none() | inner), max_leaves=4
)


@settings(max_examples=300, deadline=None)
@given(models())
def test_what_nobody_touches_comes_back_as_it_was(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    schema, value = made
    assert exact(parse(schema, submitted(schema, value))) == exact(value)


@settings(max_examples=150, deadline=None)
@given(models(), st.data())
def test_so_does_what_does_not_follow_the_schema_and_what_is_missing(
    made: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    schema, value = made
    for name in list(value):
        match data.draw(st.sampled_from(["keep", "other"] + ["drop"] * (name not in schema.get("required", ())))):
            case "other":
                value[name] = data.draw(JSON)
            case "drop":
                del value[name]
    assert exact(parse(schema, submitted(schema, value))) == exact(value)


def exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class Job(BaseModel):
    """A posting."""

    url: str
    title: str = "untitled"
    place: str | None = None
    salary: int | None = Field(default=None, ge=0, description="In euros a year.")
    remote: bool = False
    level: Level | None = None
    tags: list[str] = []
    posted: dt.date | None = None
    seen: dt.datetime | None = None
    address: Address | None = None
    counts: dict[str, int] = {}


SCHEMA = Job.model_json_schema()


def typed(value: dict[str, Any] | None = None, **texts: str) -> dict[str, Any]:
    return parse(SCHEMA, {**submitted(SCHEMA, value), **{name.replace("__", "."): text for name, text in texts.items()}})


def test_of_a_new_record_only_what_was_typed_is_sent() -> None:
    assert typed(url="x") == {"url": "x"}
    assert typed(url="x", title="Cook", salary="12", level='"senior"', tags="a\r\n\r\nb c", posted="2026-01-31") == {
        "url": "x", "title": "Cook", "salary": 12, "level": "senior", "tags": ["a", "b c"], "posted": "2026-01-31",
    }  # fmt: skip


def test_what_is_emptied_is_null_where_it_can_be() -> None:
    job = {"url": "x", "title": "t", "salary": 1, "level": "junior", "posted": "2026-01-31", "tags": ["a"], "place": "here"}
    found = typed(job, salary="", level="", posted="", tags="", place="")
    assert found == {**job, "salary": None, "level": None, "posted": None, "tags": [], "place": ""}


def test_no_value_and_an_empty_text_are_two() -> None:
    assert typed({"url": "x", "place": None})["place"] is None
    assert typed({"url": "x", "place": ""})["place"] == ""
    assert typed({"url": "x", "place": "there"}, **{"place~null": "now"})["place"] is None
    assert typed({"url": "x", "place": None}, place="there")["place"] == "there"


def test_a_group_can_have_no_value() -> None:
    job = {"url": "x", "address": {"city": "Bern", "street": None, "since": None}}
    assert typed(job, **{"address~null": "now"})["address"] is None
    assert typed(job, address__city="Basel")["address"] == {"city": "Basel", "street": None, "since": None}
    form = submitted(SCHEMA, {"url": "x", "address": None})
    del form["address~null"]
    assert parse(SCHEMA, form | {"address.city": "Bern"})["address"] == {"city": "Bern"}


@pytest.mark.parametrize(
    ("before", "shown", "typed_", "after"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00", "2026-02-01T12:30", "2026-02-01T12:30:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00", "2026-01-31T10:00:01", "2026-01-31T10:00:01Z"),
        ("2026-01-31T12:00:00", "2026-01-31T12:00", "2026-01-31T13:00", "2026-01-31T13:00"),
        (None, "", "2026-01-31T13:00", "2026-01-31T13:00:00Z"),
    ],
)
def test_times_are_shown_and_taken_in_utc(before: str | None, shown: str, typed_: str, after: str) -> None:
    form = submitted(SCHEMA, {"url": "x", "seen": before})
    assert form["seen"] == shown
    assert parse(SCHEMA, form | {"seen": typed_})["seen"] == after


def test_a_browser_that_writes_the_same_time_otherwise_changes_nothing() -> None:
    form = submitted(SCHEMA, {"url": "x", "seen": "2026-01-31T12:00:00.123456+02:00"})
    assert parse(SCHEMA, form | {"seen": "2026-01-31T10:00:00.123"})["seen"] == "2026-01-31T12:00:00.123456+02:00"


def test_what_cannot_be_read_is_told_at_its_field_and_kept() -> None:
    with pytest.raises(FormError) as caught:
        typed({"url": "x"}, salary="a lot", counts="{", seen="soon", title="kept")
    assert {fault.place: fault.message for fault in caught.value.faults} == {
        ("salary",): "must be a whole number",
        ("counts",): "is not JSON: Expecting property name enclosed in double quotes at line 1, column 2",
        ("seen",): "must be a time, such as 2026-01-31T12:00",
    }
    again = fields(SCHEMA, caught.value.value, caught.value.faults)
    assert {one.name: one.text for one in again if one.errors} == {"salary": "a lot", "counts": "{", "seen": "soon"}
    assert next(one for one in again if one.name == "title").text == "kept"
    assert [one.label for one in wrong(again)] == ["Salary", "Seen", "Counts"]


def test_faults_are_at_the_innermost_field() -> None:
    faults = (
        Fault(("address", "city"), "is required"), Fault(("tags", 1), "must be a text"), Fault(("nope",), "is unknown"), Fault((), "no"),
    )  # fmt: skip
    found = fields(SCHEMA, {"url": "x", "address": {"city": ""}}, faults)
    assert {one.name: one.errors for one in wrong(found)} == {"address.city": ("is required",), "tags": ("1: must be a text",)}
    assert split_faults(faults, found) == (faults[:2], faults[2:])


def test_a_control_has_its_label_its_help_and_its_error() -> None:
    html = drawn(SCHEMA, {"url": "x", "salary": -1}, (Fault(("salary",), "is less than 0"),))
    control = re.search(r'<input id="f-salary"[^>]*>', html)
    assert control
    assert 'aria-invalid="true"' in control[0]
    assert 'aria-describedby="f-salary-help"' in control[0]
    assert '<label for="f-salary">Salary</label>' in html
    assert re.search(r'id="f-salary-help"><span class="error">is less than 0</span><br>In euros a year. At least 0.', html)
