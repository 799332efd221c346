"""A service in the manifest: what runs around the pipeline, or where it is when somebody else runs it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pulpo.manifest.spec import REFERENCES, YOURS, Spec


class ServiceSpec(Spec):
    """A service around the pipeline, such as a database: an image or a command to run, or the URI of one that runs elsewhere."""

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
    ports: list[str] | None = Field(
        default=None,
        description="Ports that are open to the outside, each `port`, `host_port:port` or `address:host_port:port`."
        + REFERENCES
        + YOURS,
        examples=[["127.0.0.1:27017:27017"]],
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
