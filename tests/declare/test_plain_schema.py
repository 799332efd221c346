"""The quick way to a model's schema says what pydantic says, or nothing."""

from __future__ import annotations

import datetime as dt
import enum
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, computed_field, create_model

from pulpo.declare.json_schema import schema_of
from pulpo.declare.plain_schema import plain_schema


def asked(cls: type) -> dict[str, Any]:
    """What pydantic itself says."""
    return {key: value for key, value in schema_of(cls).items() if key not in ("title", "description")}


leaves = st.sampled_from(
    [str, int, float, bool, dt.date, dt.datetime, dt.time, Decimal, bytes, Any, None, Literal["a", 1], SecretStr]
)
types = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda t: list[t]), inner.map(lambda t: t | None if t not in (None, Any) else t), inner.map(lambda t: dict[str, t]),
        st.tuples(inner, inner).map(lambda t: tuple[t]), inner.map(lambda t: Annotated[t, Field(description="d")]),
    ),
    max_leaves=3,
)  # fmt: skip
defaults = st.one_of(
    st.just(...), st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
    st.just(dt.date(2026, 1, 1)),
)  # fmt: skip
names = st.sampled_from(["a", "title", "description", "type", "snake_case", "HTTPCode", "größe", "x1"])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(names, st.tuples(types, defaults), max_size=4))
@pytest.mark.filterwarnings("ignore")
def test_plain_fields_have_the_schema_that_pydantic_makes(fields):
    cls = create_model("Made", __doc__="Of a test.", **fields)
    plain = plain_schema(cls)
    assert plain is None or repr(plain) == repr(asked(cls))


class Plain(BaseModel):
    """Documented."""

    a: str
    b: float = 0.5
    c: int | None = None
    d: list[str | None]
    e: dt.datetime
    f: bool | None = True
    g: dt.date | None = None


class Child(Plain):
    h: list[list[int]]


@pytest.mark.parametrize("cls", [Plain, Child, create_model("Empty")])
def test_these_are_plain(cls):
    assert repr(plain_schema(cls)) == repr(asked(cls))


class Titled(BaseModel):
    a: int = Field(title="A number")


class Aliased(BaseModel):
    a: int = Field(alias="b")


class Constrained(BaseModel):
    a: int = Field(gt=1)


class Described(BaseModel):
    a: int = Field(description="it")


class Extra(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Sample(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [1]})
    a: int


class Hook(BaseModel):
    a: int

    @classmethod
    def __get_pydantic_json_schema__(cls, core, handler):
        return {**handler(core), "x": 1}


class Core(BaseModel):
    a: int

    @classmethod
    def __get_pydantic_core_schema__(cls, source, handler):
        core = handler(source)
        core["schema"]["fields"]["a"]["schema"] = {"type": "str"}
        return core


class Computed(BaseModel):
    a: int

    @computed_field
    @property
    def b(self) -> int:
        return 1


class Made(BaseModel):
    a: list[int] = Field(default_factory=list)


class Nested(BaseModel):
    a: Plain


class Colour(enum.StrEnum):
    RED = "red"


class Coloured(BaseModel):
    a: str = Colour.RED


class Recursive(BaseModel):
    a: Recursive | None = None


class Generous(BaseModel):
    a: float = float("inf")


LEFT = [Titled, Aliased, Constrained, Described, Extra, Sample, Hook, Computed, Made, Nested, Coloured, Recursive, Generous]


@pytest.mark.parametrize("cls", [*LEFT, RootModel[int], int, BaseModel])
def test_these_are_left_to_pydantic(cls):
    assert plain_schema(cls) is None


def test_a_core_schema_of_one_s_own_is_followed():
    assert repr(plain_schema(Core)) == repr(asked(Core))
