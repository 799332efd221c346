"""The driver of MongoDB: the one module that knows motor and pymongo.

Their clients take the same calls. What differs is which of them give a coroutine (see `settled`). Values come back as a store
has them: plain numbers, times in UTC, and text for what only BSON knows, such as an ObjectId or a Decimal128.
"""

from __future__ import annotations

import base64
import inspect
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal, TypeVar, cast, get_args

import bson
from bson import DBRef
from bson.binary import Binary, UuidRepresentation
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion, TypeDecoder, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import BSONError
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.objectid import ObjectId
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS
from bson.regex import Regex
from bson.timestamp import Timestamp
from pymongo import IndexModel, InsertOne, ReplaceOne, UpdateMany, UpdateOne, errors
from pymongo.uri_parser import parse_uri

__all__ = [
    "DRIVERS",
    "BSONError",
    "Decimal128",
    "Driver",
    "IndexModel",
    "InsertOne",
    "ObjectId",
    "ReplaceOne",
    "UpdateMany",
    "UpdateOne",
    "bson_of",
    "connect",
    "database_of",
    "errors",
    "parse_uri",
    "read_bson",
    "read_bson_as_it_is",
    "settled",
    "split_bson",
]

T = TypeVar("T")

#: The setting; motor gets fixes only, and only until May 2027, pymongo's own asynchronous client is its successor.
Driver = Literal["motor", "pymongo"]
DRIVERS: Final[tuple[str, ...]] = get_args(Driver)


def connect(uri: str, driver: str, *, timeout_s: float) -> Any:
    """A client of this event loop that asks for durable writes, whatever the URI says; nothing is sent yet.

    Raises:
        ImportError: The driver is not installed.
        errors.PyMongoError, ValueError: The URI makes no sense.
    """
    milliseconds = round(timeout_s * 1000)
    return _client_class(driver)(
        uri,
        w="majority",
        journal=True,
        readPreference="primary",
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=milliseconds,
        appname="pulpo",
    )


def _client_class(driver: str) -> Any:
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient
    from pymongo import AsyncMongoClient

    return AsyncMongoClient


def database_of(client: Any, name: str) -> Any:
    """A database whose values come back as a store has them."""
    return client.get_database(name, codec_options=_OPTIONS)


async def settled(result: Awaitable[T] | T) -> T:
    """What `close`, `aggregate`, `list_indexes` and `watch` give: a coroutine in one driver, the thing itself in the other."""
    return await result if inspect.isawaitable(result) else result


def bson_of(data: Mapping[str, Any]) -> bytes:
    """The BSON of a document."""
    return bson.encode(data)


def read_bson(batch: bytes) -> list[dict[str, Any]]:
    """The documents of a batch, their values as a store has them."""
    return cast("list[dict[str, Any]]", bson.decode_all(batch, _OPTIONS))


def read_bson_as_it_is(batch: bytes) -> list[Mapping[str, Any]]:
    """The documents of a batch, of which each is read when it is looked into, their values as BSON has them."""
    return cast("list[Mapping[str, Any]]", bson.decode_all(batch, DEFAULT_RAW_BSON_OPTIONS))


def split_bson(batch: bytes) -> list[bytes]:
    """Each document of a batch by itself, unread."""
    found, start = [], 0
    while start < len(batch):
        end = start + int.from_bytes(batch[start : start + 4], "little")
        found.append(batch[start:end])
        start = end
    return found


def _decoder(kind: type, change: Callable[[Any], Any]) -> TypeDecoder:
    class Decoder(TypeDecoder):
        bson_type = kind

        def transform_bson(self, value: Any) -> Any:
            return change(value)

    return Decoder()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_OPTIONS: Final = CodecOptions(
    document_class=dict,
    # UTC by the driver's own object: another one is asked for anew for each time that is read, which doubles the cost.
    tz_aware=True,
    uuid_representation=UuidRepresentation.STANDARD,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_CLAMP,
    type_registry=TypeRegistry(
        [
            _decoder(Int64, int),
            _decoder(float, lambda value: value if math.isfinite(value) else None),
            _decoder(Binary, _base64),
            _decoder(bytes, _base64),
            _decoder(Regex, lambda value: str(value.pattern)),
            _decoder(DBRef, lambda value: str(value.id)),
            *(_decoder(kind, str) for kind in (ObjectId, Decimal128, uuid.UUID, Timestamp, Code, MinKey, MaxKey)),
        ]
    ),
)
