"""Exceptions: one small family that the CLI and the API each translate in one place."""


class EmotionSearchError(Exception):
    """A failure whose message names the thing that failed and the cure."""


def reason(error: Exception) -> str:
    """What went wrong, in a line for people: of an error of the system without its number and its
    file, of one without words its kind."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class InvalidInputError(EmotionSearchError):
    """The caller asked for something that makes no sense, whatever there is: a bad filter, date or
    vector, options that contradict each other."""


class AbsentError(InvalidInputError):
    """The caller asked for something that would make sense, but not in this archive."""


class UnusableError(InvalidInputError):
    """What the caller names would make sense, but not as it is here: a file that is not there,
    cannot be read or written, or holds something else; a package that is missing; too few clips."""


class ConflictError(InvalidInputError):
    """What the caller asked for makes sense, but not beside what is there: a name that is taken."""


class NotFoundError(EmotionSearchError):
    """What was asked for by name or id is not in the archive."""


class ForgottenError(EmotionSearchError):
    """The content was erased from the archive, and is taken back only where that is asked for."""


class AudioError(EmotionSearchError):
    """A file cannot be used as audio: not decodable, truncated, too short, not finite."""


class ModelUnavailableError(EmotionSearchError):
    """The embedding model cannot be loaded: not downloaded, no network, broken checkpoint."""


class ModelFailedError(EmotionSearchError):
    """The embedding model fails on a clip, or gives something else than it says."""


class ModelMismatchError(EmotionSearchError):
    """The model asked for is not the one whose embeddings the archive holds."""


class DatabaseError(EmotionSearchError):
    """The database cannot be used: unreachable, corrupt, of another version, not ours."""


class DatabaseUnreachableError(DatabaseError):
    """The database's server does not answer, or no longer."""


class DatabaseBusyError(DatabaseError):
    """Another writer held the database for longer than the busy timeout."""


class EngineError(EmotionSearchError):
    """The engine that names candidates cannot be asked, or does not name enough."""


class BusyError(EmotionSearchError):
    """Somebody else works on the same thing; it can be tried again."""


class StorageError(EmotionSearchError):
    """Object storage cannot be used: not reachable, access denied, no such bucket."""


class StorageFullError(EmotionSearchError):
    """No space is left for the database or the index; nothing half-written was kept."""


DOUBTFUL = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""Errors of code that may have met a damaged row; see ``Database.damage_behind``."""
