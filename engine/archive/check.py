"""Data corruption in an archive: database, embeddings, saved index, uploads, audio; mending it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from emotion_search.engine.archive.archive import Archive
from emotion_search.engine.archive.index import saved_index_damage, saved_index_differences
from emotion_search.engine.archive.uploads import ABANDONED_S
from emotion_search.engine.files.objects import gone_among
from emotion_search.engine.files.scan import sha256_of
from emotion_search.index.database.addresses import is_object
from emotion_search.index.database.check import (
    Damage,
    check_embeddings,
    check_structure,
    derive_anew,
    lost_embeddings,
    recordings_of,
    remove_embeddings,
    remove_wrong,
    seal_embeddings,
)
from emotion_search.index.database.connection import Session
from emotion_search.index.database.files import ids_of_hashes
from emotion_search.index.database.jobs import needed_uploads
from emotion_search.index.database.models import ModelInfo, active_model, list_models, name_anew
from emotion_search.index.database.recording_details import all_locations
from emotion_search.index.errors import DatabaseError, NotFoundError

_MEND = "emotion-search check --mend"
_REBUILD = "emotion-search index rebuild"
_STRANGE = "emotion-search ingest it, or remove it"
_SWAPPED = (
    f"{_REBUILD} if the database came out of a backup; else {_MEND}, which embeds them anew"
    " from the audio"
)


def check(archive: Archive, *, audio: bool = False) -> Iterator[Damage]:
    """What is damaged, as it is found. Embeddings of earlier versions get their checksums.

    Args:
        audio: also read every recording's file, and compare it with its sha256.
    """
    with archive.database.read() as session:
        broken = list(check_structure(session))
    yield from broken
    try:
        with archive.database.read() as session:
            models = list_models(session)
    except (DatabaseError, NotFoundError) as error:
        models = []
        if not broken:
            yield _unreadable(error)
    parts = [part(archive, model) for model in models for part in (_embeddings, _saved_index)]
    for part in (*parts, _files(archive, audio=audio), _uploads(archive)):
        try:
            yield from part
        except (DatabaseError, NotFoundError) as error:
            if not broken:  # else its cause is named
                yield _unreadable(error)


def _unreadable(error: Exception) -> Damage:
    what = str(error).removesuffix("; run: emotion-search check")
    return Damage("database", what, "restore a backup")


def remove_useless(archive: Archive) -> list[str]:
    """Remove labels, alerts, webhooks and the like that nothing can use, and name an archive anew
    that has no identity; what, in words."""
    saved = [one.name for one in archive.settings.index_folder.glob("*")]
    with archive.database.write() as session:
        return [*name_anew(session, saved), *remove_wrong(session)]


def drop_damaged(archive: Archive) -> list[ModelInfo]:
    """Write anew what scores say, and remove damaged embeddings of clips that stay and whose audio
    is there; the models under which some have to be made anew, as of clips that lost theirs."""
    with archive.database.read() as session:
        found = {model: check_embeddings(session, model) for model in list_models(session)}
        serving = active_model(session) if lost_embeddings(session) else None
        damaged = {
            model: _with_audio(session, read.damaged)
            for model, read in found.items()
            if read.damaged
        }
        for model in found:
            differ = saved_index_differences(archive.settings, archive.database, model)
            if clips := _with_audio(session, differ):
                damaged[model] = sorted({*damaged.get(model, []), *clips})
    if serving is not None:
        damaged.setdefault(serving, [])
    with archive.database.write() as session:
        for model, read in found.items():
            derive_anew(session, model, read.derived)
        for model, clips in damaged.items():
            remove_embeddings(session, model, clips)
    return list(damaged)


def _with_audio(session: Session, clips: list[int]) -> list[int]:
    """Those of the clips of whose recording a file is there."""
    there = {
        recording
        for recording, _, path, _ in all_locations(session)
        if path is not None and (is_object(path) or Path(path).exists())
    }
    return [clip for clip, recording in recordings_of(session, clips) if recording in there]


def _embeddings(archive: Archive, model: ModelInfo) -> Iterator[Damage]:
    with archive.database.read() as session:
        found = check_embeddings(session, model)
    if found.damaged:
        what = f"{len(found.damaged)} of {found.clips} are damaged ({_some(found.damaged)})"
        yield Damage(f"embeddings of {model.name}", what, f"{_MEND}; else restore a backup")
    if found.derived:
        which = _some(found.derived)
        what = (
            f"{len(found.derived)} have another emotion or affect than their scores say ({which})"
        )
        yield Damage(f"embeddings of {model.name}", what, _MEND)
    if found.unlike:
        what = f"{found.unlike} embeddings of {model.name} have other dimensions or classes than it"
        yield Damage("models", what, "restore a backup")
    after: int | None = 0
    while found.unsealed and not found.damaged and after is not None:
        with archive.database.write() as session:
            after = seal_embeddings(session, model, after)


def _some(clips: Sequence[int]) -> str:
    return f"clips {', '.join(map(str, clips[:5]))}{', …' if len(clips) > 5 else ''}"


def _saved_index(archive: Archive, model: ModelInfo) -> Iterator[Damage]:
    where = f"saved index of {model.name}"
    if what := saved_index_damage(archive.settings, archive.database, model):
        yield Damage(where, what, _REBUILD)
    elif differ := saved_index_differences(archive.settings, archive.database, model):
        what = f"{len(differ)} vectors are not those of the database ({_some(differ)})"
        yield Damage(where, what, _SWAPPED)


def _files(archive: Archive, *, audio: bool) -> Iterator[Damage]:
    """Recordings of which no file is whole; those of users' own are looked at with ``audio``."""
    uploads = archive.settings.uploads_folder
    with archive.database.read() as session:
        rows = groupby(all_locations(session), lambda row: (row[0], row[1], row[3]))
        for (recording, sha256, was_read), places in rows:
            known = [path for _, _, path, _ in places if path is not None]
            ours = audio or any(Path(path).parent == uploads for path in known)
            if not (ours and was_read):  # whose embeddings alone were imported has no file
                continue
            there = [path for path in known if is_object(path) or Path(path).exists()]
            problem, whole = "is not what was ingested" if there else "is gone", False
            for path in there:
                try:
                    whole = whole or not audio or sha256_of(path) == sha256
                except FileNotFoundError:
                    problem = "is gone"
                except OSError as error:
                    problem = f"cannot be read ({error.strerror})"
            if whole:
                continue
            what = f"its file {problem}"
            names = ", ".join(known) or "no file known"
            yield Damage(
                f"recording {recording}",
                f"{what} ({names})",
                "put it back, or emotion-search forget it",
            )


def _uploads(archive: Archive) -> Iterator[Damage]:
    kept = archive.uploads.in_home()
    with archive.database.read() as session:
        known = ids_of_hashes(session, list(kept))
    for sha256 in sorted(kept.keys() - known.keys()):
        for file in kept[sha256]:
            with suppress(FileNotFoundError):  # else it may be taken in just now
                if time.time() - file.stat().st_mtime > ABANDONED_S:
                    yield Damage(str(file), "no recording has this upload", _STRANGE)
    if (place := archive.uploads.place()) is None:
        if (file := archive.uploads.place_file).exists():
            yield Damage(
                str(file),
                "does not name this home",
                "remove it: emotion-search serve writes it anew",
            )
        return
    with archive.database.read() as session:
        needed = needed_uploads(session, place)
    paths = {job: archive.uploads.incoming(stored) for job, stored in needed}
    gone = set(gone_among(paths.values()))
    for job, path in paths.items():
        if path in gone:
            yield Damage(f"job {job}", "its upload is gone", f"emotion-search jobs drop {job}")
