"""Manifests that lie in object storage: paths in them are relative to them there."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from emotion_search.engine.files.manifest import Manifest, TableForm, read_manifest
from emotion_search.engine.files.objects import fetched
from emotion_search.index.database.addresses import is_object
from emotion_search.index.errors import InvalidInputError, UnusableError, reason


def manifest_named(url: str, form: TableForm | None = None) -> Manifest:
    """The rows of a manifest of this path or address; see ``read_manifest``.

    Raises:
        InvalidInputError: it cannot be read; see also ``read_manifest``.
    """
    if not is_object(url):
        return read_manifest(Path(url), form)
    scheme, _, place = url.partition("://")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, place)  # as it lies there: so do paths with ../
        if ".." in copy.parts:
            raise InvalidInputError(f"{url}: an address has no .. in it")
        copy.parent.mkdir(parents=True)

        def there(text: str) -> str:
            return text.replace(f"{folder}{os.sep}", f"{scheme}://")

        try:
            with fetched(url) as got:
                shutil.copyfile(got.path, copy)
            found = read_manifest(copy, form)
        except (OSError, InvalidInputError) as error:
            why = there(str(error)) if isinstance(error, InvalidInputError) else reason(error)
            raise UnusableError(why if url in why else f"{url} cannot be read: {why}") from None
    return Manifest(
        path=url,
        rows={there(path): row for path, row in found.rows.items()},
        lines={there(path): line for path, line in found.lines.items()},
        problems=[(there(where), there(why)) for where, why in found.problems],
        naive_times=found.naive_times,
        spans={there(path): lines for path, lines in found.spans.items()},
        unlike=found.unlike,
    )
