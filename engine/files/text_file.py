"""Text files in the encodings that spreadsheets write: UTF-8, UTF-16, Windows-1252."""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from emotion_search.index.errors import InvalidInputError, UnusableError, reason

log = logging.getLogger(__name__)

_MARKS = (  # UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ASSUMED = "cp1252"
_BLOCK = 1 << 20
_DAMAGED = re.compile("[\udc80-\udcff]")
_FOREIGN = re.compile("[^\0-\x7f\udc80-\udcff]")


@contextmanager
def text_file(path: Path, encoding: str | None = None) -> Iterator[TextIO]:
    """A text file, open, with its ends of lines as they are. A byte that is damaged in UTF-8
    becomes half of a surrogate pair, which no cell of a table may have.

    Args:
        encoding: what it is written in; None to tell by its bytes. Windows-1252 cannot be told and
            is assumed where nothing else fits; a notice says so.

    Raises:
        InvalidInputError: it cannot be read, or is written in something else.
    """
    try:
        with path.open("rb") as raw:
            name = encoding or _encoding(raw, path)
        lenient = codecs.lookup(name).name.startswith("utf-8")
        errors = "surrogateescape" if lenient else "strict"
        with path.open(newline="", encoding=name, errors=errors) as file:
            yield file
    except UnicodeError as error:
        what = encoding or "UTF-8, UTF-16 or Windows-1252"
        raise UnusableError(
            f"{path} is no text in {what}: save it as UTF-8, or name what it is written in with"
            " ingest's --encoding, such as gb18030"
        ) from error
    except LookupError as error:
        raise InvalidInputError(f"{path}: no encoding of text is called {encoding}") from error
    except OSError as error:
        raise UnusableError(f"{path} cannot be read: {reason(error)}") from error


def _encoding(raw: BinaryIO, path: Path) -> str:
    """What a file is written in, by all its bytes.

    Raises:
        UnicodeError: nothing that is known here.
    """
    head = raw.read(1024).rstrip(b"\0")  # of a file that was made longer than it became
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    for nulls, name in ((head[1::2], "utf-16-le"), (head[::2], "utf-16-be")):
        if nulls.count(0) > len(nulls) / 2:  # without a mark: most of a header is ASCII
            return name
    raw.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    damaged = foreign = zeros = 0
    while block := raw.read(_BLOCK):
        text = decoder.decode(block)
        zeros += block.count(0)
        if not text.isascii():
            damaged += len(_DAMAGED.findall(text))
            foreign += len(_FOREIGN.findall(text))
    damaged += len(decoder.decode(b"", final=True))
    if damaged <= foreign:  # a damaged byte among much that is well-formed costs its row alone
        return "utf-8"
    if zeros:
        raise UnicodeError("zeros")
    log.warning(
        "%s is not UTF-8 and taken for Windows-1252 (cp1252); where names look wrong, save it as"
        " UTF-8, or name what it is written in with ingest's --encoding",
        path,
    )
    return _ASSUMED
