"""Text that both databases can store, in the form in which it is compared (NFC)."""

import unicodedata

from emotion_search.index.errors import InvalidInputError


def storable(text: str) -> bool:
    """Whether SQLite and Postgres both take it: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def clean(what: str, text: str) -> str:
    """``text`` in Unicode's NFC, in which it is stored and compared, if every database can hold it.

    Raises:
        InvalidInputError: it contains NUL or half a surrogate pair; names ``what``.
    """
    if not storable(text):
        raise InvalidInputError(f"{what} contains characters that cannot be stored")
    return unicodedata.normalize("NFC", text)
