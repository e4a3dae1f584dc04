"""Where a FAISS directory was looked for, and what was found there instead: for messages that say what to do."""

import errno
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

INDEX_NAME = "index.faiss"
SHOWN = 5


def no_directory(path: Path) -> str:
    """Say that there is no directory of FAISS data at ``path``, and how to say another."""
    return (
        f"FAISS directory {str(path.absolute())!r}: not found; set [primary] path in drill.toml to the service's FAISS "
        "data (a relative path is taken from the directory of the file that says it: drill.toml, or the env file for "
        "FAISS_DATA_DIR)"
    )


def no_tenant(path: Path, tenant: str) -> str:
    """Say that ``tenant`` has no directory below ``path``, and what is there."""
    return (
        f"FAISS index of tenant {tenant!r}: no such directory in {str(path.absolute())!r}; {_instead(path, tenant)}; "
        "check [service] tenants and [primary] path"
    )


def cannot_open(folder: Path, tenant: str, docs_name: str, reason: OSError) -> str:
    """Say which file of a tenant is missing or cannot be opened, and what its directory holds instead."""
    name = Path(str(reason.filename)).name if reason.filename else INDEX_NAME
    gone = reason.errno == errno.ENOENT
    said = "is missing" if gone else f"cannot be opened ({reason.strerror})"
    if gone and name == docs_name and (folder / "index.pkl").exists():
        said += (
            "; index.pkl is there instead: this is LangChain's layout, whose documents are a pickle, and a pickle from "
            f"elsewhere is never loaded; write {docs_name} beside it, or a manifest ([primary] kind)"
        )
    return (
        f"FAISS index of tenant {tenant!r}: {name} {said}; expected {INDEX_NAME} and {docs_name} in "
        f"{str(folder.absolute())!r}, check [primary] path"
    )


def _instead(path: Path, tenant: str) -> str:
    if (path / INDEX_NAME).is_file():
        return f"{INDEX_NAME} lies in that directory itself, expected one directory for each tenant"
    names = list(islice(_directories(path), 1000))
    if alike := [name for name in names if _plain(name) == _plain(tenant)]:
        return f"there is {', '.join(map(repr, alike[:SHOWN]))}"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"there is {', '.join(map(repr, sorted(names)[:SHOWN]))}{more}" if names else "it holds no directory"


def _directories(path: Path) -> Iterator[str]:
    try:
        yield from (entry.name for entry in path.iterdir() if entry.is_dir())
    except OSError:
        return


def _plain(name: str) -> str:
    """Return a name without what people write differently: case, separators, a leading ``tenant``."""
    return re.sub(r"[\W_]+", "", name.casefold()).removeprefix("tenant")
