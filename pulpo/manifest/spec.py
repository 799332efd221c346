"""What the parts of the manifest are made of: the closed base class, the kinds of names and numbers, and who owns a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic.fields import ComputedFieldInfo, FieldInfo

from pulpo.names import ENTRYPOINT_PATTERN, MODEL_PATTERN, OPERATION_PATTERN

JsonSchema = dict[str, Any]
OperationName = Annotated[str, Field(pattern=OPERATION_PATTERN)]
ModelName = Annotated[str, Field(pattern=MODEL_PATTERN)]
Entrypoint = Annotated[str, Field(pattern=ENTRYPOINT_PATTERN)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FieldName = Annotated[str, Field(min_length=1)]
COLLECTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.-]*$"


def integral(value: object) -> object:
    """In JSON, and so to every schema validator, 3.0 is the integer 3, and true is not 1."""
    if isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic reports only ValueError
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: Whole numbers from 0, and from 1. The bounds stand here: outside of the validator pydantic leaves them out of the schema.
Count = Annotated[int, Field(ge=0), BeforeValidator(integral)]
PositiveCount = Annotated[int, Field(ge=1), BeforeValidator(integral)]


def _shortest(value: float) -> float:
    """As people write it: 30, not 30.0."""
    return int(value) if value.is_integer() and abs(value) < 1e15 else value  # noqa: PLR2004 - larger ones have exponents


Seconds = Annotated[float, PlainSerializer(_shortest, return_type=Any)]


# Who owns a field, at the end of its description: the hover text is where people look before they edit.
CODE = " The code owns it: `pulpo lock` restores it after an edit."
SETTING = " The decorator gives the default; a value here overrides it."
YOURS = " It is yours: `pulpo lock` does not touch it."
LOCK = " `pulpo lock` writes this."
#: Of fields whose texts stand for environment variables, too.
REFERENCES = " May hold references such as ${NAME} or ${NAME:-default}."


def title(key: str) -> str:
    """The title of a key: `retry_delay` is `Retry delay`."""
    return key.replace("_", " ").capitalize()


def _title(name: str, field: FieldInfo | ComputedFieldInfo) -> str:
    return title(field.alias or name)


class Spec(BaseModel):
    """Base of all parts: closed (only keys beginning with `x-` are free), no nulls, no coercion."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="allow",
        field_title_generator=_title,
        model_title_generator=lambda spec: spec.__name__.removesuffix("Spec"),
    )

    #: Fields in which null is a value.
    nullable: ClassVar[frozenset[str]] = frozenset()
    #: The file's words for the fields, filled in per class.
    keys: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.keys = frozenset(field.alias or name for name, field in cls.model_fields.items())

    @model_validator(mode="before")
    @classmethod
    def _closed(cls, data: object) -> object:
        if isinstance(data, Mapping):
            for key, value in data.items():
                if key not in cls.keys:
                    if not (isinstance(key, str) and key.startswith("x-")):
                        raise ValueError(f"unknown key {key!r}")
                elif value is None and key not in cls.nullable:
                    raise ValueError(f"{key} is null: leave it out instead")
        return data

    def data(self) -> dict[str, Any]:
        """The part as plain data in the file's words, in the order of the fields; unset fields are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
