"""A service in the manifest: what runs around the pipeline, or where it is when somebody else runs it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pulpo.manifest.spec import REFERENCES, YOURS, PositiveCount, Seconds, Spec, integral

#: The path of a page, or a reference that stands for one.
PAGE_PATTERN = r"^(/|\$\{)\S*$"
#: What Prefect takes for the name of a variable.
VARIABLE_PATTERN = r"^[a-z0-9_-]+$"
#: A port's number.
PortNumber = Annotated[int, Field(ge=1, le=65_535), BeforeValidator(integral)]


class ProbeSpec(Spec):
    """How to see that a service is ready: one of `http`, `tcp`, `command` and `log`."""

    http: str | None = Field(
        default=None,
        pattern=PAGE_PATTERN,
        description="The path of a page that is answered with a status below 400." + REFERENCES + YOURS,
        examples=["/health"],
    )
    tcp: PortNumber | None = Field(
        default=None, title="TCP", description="The service's port that takes connections." + YOURS, examples=[9000]
    )
    command: list[str] | None = Field(
        default=None,
        min_length=1,
        description="A command that ends with 0, run where the service runs, each argument by itself." + REFERENCES + YOURS,
        examples=[["redis-cli", "ping"]],
    )
    log: str | None = Field(
        default=None,
        min_length=1,
        description="A regular expression that a line of the service's log matches somewhere." + REFERENCES + YOURS,
        examples=["listening on"],
    )
    port: PortNumber | None = Field(
        default=None,
        description="With `http`: the service's port, the one on the right in `ports`; the first of them where unset." + YOURS,
        examples=[9000],
    )
    timeout: Seconds | None = Field(
        default=None,
        gt=0,
        description="Seconds in which the service has to be ready; 60 where unset, 120 for `prefect`." + YOURS,
        examples=[30],
    )


class ResourcesSpec(Spec):
    """What a service may use of its machine, as a container."""

    cpus: Seconds | None = Field(
        default=None, gt=0, title="CPUs", description="How many processors, fractions as well." + YOURS, examples=[0.5]
    )
    memory: str | None = Field(
        default=None,
        min_length=1,
        description="How much memory: a number and one of b, k, m and g." + YOURS,
        examples=["512m", "2g"],
    )


class ServiceSpec(Spec):
    """A service around the pipeline, such as a database: an image or a command to run, or the URI of one that runs elsewhere."""

    enabled: bool | None = Field(
        default=None,
        description="Whether the service is part of the project; `false` leaves one out that comes with Pulpo." + YOURS,
    )

    image: str | None = Field(
        default=None,
        min_length=1,
        description="The container image that the service runs from." + REFERENCES + YOURS,
        examples=["mongo:8"],
    )
    command: list[str] | None = Field(
        default=None,
        min_length=1,
        description="What is run, each argument by itself; with an image, in place of the image's own command."
        + REFERENCES
        + YOURS,
        examples=[["python", "-m", "jobs.server"]],
    )
    uri: str | None = Field(
        default=None,
        min_length=1,
        title="URI",
        description="Where the service is reached. A password in it is a reference, never written here." + REFERENCES + YOURS,
        examples=["${MONGO_URL}", "mongodb://app:${MONGO_PASSWORD}@db.example.org"],
    )
    engine: Literal["embedded", "mongodb"] | None = Field(
        default=None,
        description="Of the service `db`: `embedded` is a file that this machine's processes share, `mongodb` a server; where "
        "unset, `mongodb` with an image or a command, else `embedded`." + YOURS,
    )
    driver: Literal["motor", "pymongo"] | None = Field(
        default=None,
        description="Of the service `db`: which driver speaks to MongoDB, `motor` (the default) or `pymongo`, its successor."
        + YOURS,
    )
    environment: dict[str, str] | None = Field(
        default=None,
        description="Environment variables that the service is given, by name; each value is a text." + REFERENCES + YOURS,
        examples=[{"LOG_LEVEL": "info", "API_TOKEN": "${API_TOKEN}"}],
    )
    variables: dict[Annotated[str, Field(pattern=VARIABLE_PATTERN)], Any] | None = Field(
        default=None,
        description="Of the service `prefect`: Prefect's variables, which `pulpo apply` makes, by name; each value is any data."
        + REFERENCES
        + YOURS,
        examples=[{"report_to": "team@example.org"}],
    )
    ports: list[str] | None = Field(
        default=None,
        description="Ports that are open to the outside, each `port`, `host_port:port` or `address:host_port:port`; the address "
        "is 127.0.0.1 where unset, and `auto` as host_port is a free one." + REFERENCES + YOURS,
        examples=[["27017"], ["auto:9000"], ["127.0.0.1:27017:27017"]],
    )
    volumes: list[str] | None = Field(
        default=None,
        description="What is mounted, each `volume:path` or `./directory:path`, where the path is the service's."
        + REFERENCES
        + YOURS,
        examples=[["db_data:/data/db"]],
    )
    depends_on: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        description="Services that have to be ready before this one starts, by name." + YOURS,
        examples=[["db"]],
    )
    probe: ProbeSpec | None = Field(
        default=None,
        description="How to see that the service is ready; without it one with ports is when the first takes connections."
        + YOURS,
        examples=[{"http": "/health"}],
    )
    restart: Literal["always", "on-failure", "no"] | None = Field(
        default=None,
        description="What happens when it ends by itself: `always` starts it again, `on-failure` unless it ended well, `no` "
        "leaves it; where unset, `always` for services that come with Pulpo and `on-failure` for others." + YOURS,
    )
    replicas: PositiveCount | None = Field(
        default=None, description="How many of it run; more than one only without ports; 1 where unset." + YOURS, examples=[2]
    )
    resources: ResourcesSpec | None = Field(
        default=None,
        description="What the service may use, as a container." + YOURS,
        examples=[{"cpus": 1, "memory": "512m"}],
    )
    grace: Seconds | None = Field(
        default=None,
        ge=0,
        description="Seconds between being asked to end and being killed; 10 where unset, more for services that come with Pulpo."
        + YOURS,
        examples=[30],
    )


class DockerSpec(Spec):
    """Where containers run, and the image that holds the project."""

    host: str | None = Field(
        default=None,
        min_length=1,
        description="The Docker engine, as in DOCKER_HOST; this machine's own where neither this nor `context` is set."
        + REFERENCES
        + YOURS,
        examples=["ssh://deploy@example.org"],
    )
    context: str | None = Field(
        default=None,
        min_length=1,
        description="The Docker context whose engine is used, in place of `host`." + REFERENCES + YOURS,
        examples=["prod"],
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        description="The name of the project's image, with a tag or without; `pulpo/PROJECT` where unset." + REFERENCES + YOURS,
        examples=["registry.example.org/jobs:1.4"],
    )
    base_image: str | None = Field(
        default=None,
        min_length=1,
        description="The image that the project's image is made from: one with Python and Debian's packages."
        + REFERENCES
        + YOURS,
        examples=["python:3.12-slim"],
    )
    packages: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None, description="Debian packages that the project's image has in addition." + YOURS, examples=[["libpq5"]]
    )
    extras: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        description="Extras of Pulpo, and of the project, that are installed in the project's image, in addition to those that "
        "its services need." + YOURS,
        examples=[["dask"]],
    )
