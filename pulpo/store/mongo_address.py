"""Where a MongoDB is, and what its errors mean to a user; no message holds a password.

What a URI says before its last `@` is never shown, nor what it says behind the hosts; of one that makes no sense not even these
are, as it can't be told what in it is a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from pulpo.errors import UsageError
from pulpo.names import did_you_mean
from pulpo.store.base import Collection, Lost, StoreError
from pulpo.store.mongo_driver import DRIVERS, BSONError, errors, parse_uri
from pulpo.store.values import MAX_BYTES

_SCHEMES: Final = ("mongodb://", "mongodb+srv://")
_SHAPE: Final = "write mongodb://user:password@host:27017/database, with what is no letter or digit in user and password as %XX"
#: MongoDB's own databases.
_RESERVED: Final = ("admin", "config", "local")
_BAD_IN_DATABASE: Final = re.compile(r'[/\\. "$*<>:|?\0]')
_MAX_DATABASE: Final = 63

_AUTHENTICATION_FAILED: Final = (18, 8000)
_UNAUTHORIZED: Final = 13
_TOO_LARGE: Final = frozenset({10334, 17419, 17420})

#: What the driver says when no server could be found, what that means, and what to do.
_UNREACHABLE: Final = (
    (
        r"name or service not known|nodename nor servname|name resolution|no address associated|getaddrinfo|dns",
        "the host of MongoDB is not known",
        "see how it is spelled, and that this machine can look it up",
    ),
    (
        r"certificate.?verify.?failed|self.signed|hostname mismatch|certificate is not valid",
        "the certificate of MongoDB is not trusted",
        "name the authority that signed it: tlsCAFile=FILE in the URI",
    ),
    (
        r"ssl|tls|wrong.?version",
        "MongoDB does not speak TLS with this client",
        "leave tls=true out of the URI where the server has none, else see its certificate and protocols",
    ),
    (
        r"connection refused|connect call failed",
        "nothing listens where MongoDB should be",
        "start it, or see that host and port are right",
    ),
    (
        r"no such file or directory",
        "there is no socket of MongoDB at this place",
        "start it, or see that the path is right",
    ),
    (
        r"belongs to a set named|replicasetname|replicasetnoprimary|no replica set members|not a member",
        "the replica set of MongoDB has no primary that can be reached",
        "see that replicaSet= in the URI is its name, and that its members run and can be reached from here",
    ),
    (
        r"connection (is already )?closed|connection reset",
        "MongoDB closes the connection at once",
        "a server that wants TLS does so: add tls=true to the URI; else see what listens there",
    ),
)


@dataclass(frozen=True, slots=True)
class Address:
    """A MongoDB's URI, what of it may be shown, and the name of the project's database there."""

    uri: str = field(repr=False)
    shown: str
    database: str
    #: The command that starts it, where the project runs it itself.
    started_by: str | None = None


def read_address(uri: str, *, database: str) -> Address:
    """The address that a URI means; its database is that of its path, else the one given, made to fit.

    Raises:
        UsageError: The URI makes no sense, or its database is one of MongoDB's own.
    """
    scheme = next((one for one in _SCHEMES if uri.startswith(one)), None)
    if scheme is None:
        begin = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", uri)
        shown = begin[0] if begin else "something else"
        raise UsageError(f"a MongoDB's URI begins with mongodb:// or mongodb+srv://, this one with: {shown}", hint=_SHAPE)
    if scheme == "mongodb://":
        # The other kind asks name servers: it is checked when it is connected to.
        try:
            parse_uri(uri)
        except (errors.PyMongoError, ValueError, OSError) as error:
            raise malformed(error) from None
    hosts, _, path = re.split(r"\?", uri.removeprefix(scheme).rpartition("@")[2])[0].partition("/")
    named = unquote(path)
    own = fitting_database(database)
    if named in _RESERVED:
        raise UsageError(
            f"MongoDB keeps this database for itself: {named}",
            hint=f"name the project's own in the URI; for users that are kept in {named}: /{own}?authSource={named}",
        )
    return Address(uri, f"{scheme}{unquote(hosts)}", named or own)


def fitting_database(name: str) -> str:
    """A name as MongoDB takes it for a database: what it can't hold is `_`, and it has an end."""
    fitting = _BAD_IN_DATABASE.sub("_", name).encode()[:_MAX_DATABASE].decode(errors="ignore")
    return f"{fitting}_" if fitting in _RESERVED or not fitting else fitting


def check_driver(driver: str) -> None:
    """Raise a `UsageError` unless there is such a driver."""
    if driver not in DRIVERS:
        raise UsageError(
            f"there is no such driver for MongoDB: {driver}",
            hint=did_you_mean(driver, DRIVERS) or f"one of {', '.join(DRIVERS)}",
        )


def malformed(error: Exception) -> UsageError:
    """What is wrong with a URI, as far as the driver's words show nothing of it."""
    option = re.match(r"(?:Unknown option|Invalid value|Unsupported value)\W+([A-Za-z]{3,40})\b", str(error))
    if isinstance(error, OSError):
        return UsageError("a file that the URI of MongoDB names can't be read", hint="see tlsCAFile and tlsCertificateKeyFile")
    if str(error).startswith("Port "):
        return UsageError("a port in the URI of MongoDB is no number from 1 to 65535", hint=_SHAPE)
    if "escaped" in str(error):
        return UsageError("the user name or the password in the URI of MongoDB is not encoded", hint=_SHAPE)
    if option and type(error) is errors.ConfigurationError:
        return UsageError(f"the URI of MongoDB has an option that there is not: {option[1]}", hint=_SHAPE)
    return UsageError("the URI of MongoDB makes no sense", hint=_SHAPE)


def unreachable(error: Exception, address: Address, timeout_s: float) -> UsageError:
    """Why a store could not be opened."""
    if isinstance(error, errors.OperationFailure):
        return _refused(error, address)
    text = str(error)
    if isinstance(error, errors.ServerSelectionTimeoutError | errors.ConfigurationError | errors.AutoReconnect):
        for pattern, meaning, hint in _UNREACHABLE:
            if re.search(pattern, text, re.IGNORECASE):
                start = f"start it: {address.started_by}" if address.started_by and hint.startswith("start it") else hint
                return UsageError(f"{meaning}: {address.shown}", hint=start)
    if isinstance(error, errors.ConfigurationError | errors.InvalidURI | ValueError | OSError) and not isinstance(
        error, TimeoutError
    ):
        return malformed(error)
    return UsageError(
        f"MongoDB does not answer within {timeout_s:g} s: {address.shown}",
        hint="see that it runs, and that a firewall lets this machine reach it",
    )


def translated(error: Exception, address: Address, collection: Collection | None = None) -> StoreError:
    """An error of the driver while a store is used, in a user's words."""
    code = getattr(error, "code", None)
    where, hint = f"{address.shown}/{address.database}", None
    if isinstance(error, errors.DocumentTooLarge) or code in _TOO_LARGE or _is_too_large(error):
        name = f" of {collection.name}" if collection else ""
        return StoreError(f"a record{name}, or a query, is larger than what MongoDB takes, in bytes: {MAX_BYTES}")
    if isinstance(error, errors.InvalidOperation):
        meaning, hint = "the store is not open", "use it inside `async with store:`"
    elif code in (_UNAUTHORIZED, *_AUTHENTICATION_FAILED):
        meaning, hint = "the user may not do this in MongoDB", "give the user the role readWrite on the database"
    elif isinstance(error, errors.OperationFailure):
        meaning = f"MongoDB refused what was asked of it, {_words_of(error)}"
    elif isinstance(error, BSONError):
        meaning = "MongoDB holds, or was given, what is no BSON"
    else:
        hint = "see that it runs, and do the same again: nothing is stored twice"
        return Lost(f"the connection to MongoDB was lost: {where}", hint=hint)
    return StoreError(f"{meaning}: {where}", hint=hint)


def _is_too_large(error: Exception) -> bool:
    """Whether a server found so what the driver let through, which allows for what is around a document; it has many codes."""
    return isinstance(error, errors.OperationFailure) and bool(re.search(r"too large\b|larger than \d", _words_of(error)))


def _words_of(error: Any) -> str:
    details = error.details or {}
    failed = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ()), details]
    return next((str(one["errmsg"]) for one in failed if "errmsg" in one), str(error))


def _refused(error: Any, address: Address) -> UsageError:
    if error.code in _AUTHENTICATION_FAILED:
        return UsageError(
            f"MongoDB refuses the user name or the password: {address.shown}",
            hint="see both; for a user that is kept in another database add ?authSource=admin to the URI",
        )
    if error.code == _UNAUTHORIZED:
        return UsageError(
            f"MongoDB does not let this user read the database {address.database}: {address.shown}",
            hint="put a user name and a password into the URI, of one with the role readWrite on the database",
        )
    return UsageError(
        f"MongoDB refused to open the database {address.database}: {address.shown}", hint=f"it says: {error.details}"
    )
