"""Where a study is kept: the address in an experiment file, what it stands for, and how it may be shown."""

from __future__ import annotations

import os
import re

from orchestrator.tracking.address import redact

JOURNAL = "journal"
ENVIRONMENT = "env:"  # `env:NAME`: the whole address stands in a variable, so that no file or command line holds it
POSTGRES = "postgresql"
_VARIABLE = re.compile(r"\$\{(\w+)\}")


def expand(address: str) -> str:
    """The address with `env:NAME` and `${NAME}` replaced. ValueError names a variable that is not set."""
    if address.startswith(ENVIRONMENT):
        name, separator, rest = address.removeprefix(ENVIRONMENT).partition("#")
        return _variable(name, address) + separator + rest
    return _VARIABLE.sub(lambda match: _variable(match[1], address), address)


def check_storage(storage: str) -> str:
    """The storage of an experiment, expanded. ValueError where a search cannot keep its study there."""
    where = expand(storage)
    if where == JOURNAL or is_postgres(where):
        return where
    raise ValueError(
        f"storage {redact(where)!r}: a search keeps its study in {JOURNAL!r}, a file beside it, or in PostgreSQL; give "
        f"postgresql://USER@HOST/DATABASE, or {ENVIRONMENT}NAME for a variable that holds it (a password may stand "
        "there, in PGPASSWORD or in ~/.pgpass)"
    )


def is_database(where: str) -> bool:
    """Whether it is a database's URL, not a journal's path."""
    return "://" in where


def is_postgres(where: str) -> bool:
    return is_database(where) and where.partition(":")[0].split("+")[0] == POSTGRES


def sqlalchemy_url(where: str) -> str:
    """As SQLAlchemy takes it, with the driver that this program installs; safe to be used as a format string."""
    scheme, separator, rest = where.partition("://")
    driver = f"{POSTGRES}+psycopg" if scheme == POSTGRES else scheme
    return driver + separator + rest.replace("{", "%7B").replace("}", "%7D")


def libpq_url(where: str) -> str:
    """As libpq takes it: without SQLAlchemy's name of a driver."""
    scheme, separator, rest = where.partition("://")
    return scheme.split("+")[0] + separator + rest


def _variable(name: str, address: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ValueError(
            f"{redact(address)}: the environment variable {name} is not set; export it, or name another one"
        )
    return value
