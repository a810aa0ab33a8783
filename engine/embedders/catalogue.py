"""The list of embedding models: what they are, where they are, what the archive has of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from emotion_search.engine.embedders.registry import FAMILIES, family_of, is_path
from emotion_search.engine.settings import Settings
from emotion_search.index.database.coverage import Holding


@dataclass(frozen=True)
class KnownModel:
    """A model that is known.

    Attributes:
        place: ``built in``, the folder where it is, or ``not downloaded``.
        active: whether it serves the archive.
        fingerprint: of the one that the archive holds; None if it holds none of this name.
        embedded: clips of the archive with an embedding under it.
        clips: clips of the archive.
        licence: of its weights, in a few words; None where that is not known here.
    """

    name: str
    dimension: int | None
    about: str
    place: str
    active: bool = False
    fingerprint: str | None = None
    embedded: int | None = None
    clips: int | None = None
    licence: str | None = None


def list_models(settings: Settings, holdings: Sequence[Holding]) -> list[KnownModel]:
    """The known models, then the archive's others. No network is asked."""
    listed: list[KnownModel] = []
    names: set[str] = set()
    for family in FAMILIES:
        for name, (dimension, about) in family.known.items():
            usable = family_of(name) is family
            place = family.place(name, settings) if usable else "not usable by this name"
            licence = family.licence(name, settings) if usable else None
            known = KnownModel(name, dimension, about, place, licence=licence)
            same = [one for one in holdings if one.model.name == name]
            listed += [_with_holding(known, one) for one in same] or [known]
            names.add(name)
    for one in holdings:
        name, classes = one.model.name, len(one.model.classes)
        if name not in names:
            about = f"{classes} classes" if classes else "no scores"
            hub = family_of(name).prefix and family_of(name).place(name, settings)
            place = name if is_path(name) else hub or "not here"
            licence = family_of(name).licence(name, settings)
            known = KnownModel(name, one.model.dimension, about, place, licence=licence)
            listed.append(_with_holding(known, one))
    return listed


def _with_holding(known: KnownModel, holding: Holding) -> KnownModel:
    return replace(
        known,
        active=holding.active,
        fingerprint=holding.model.fingerprint,
        embedded=holding.embedded,
        clips=holding.clips,
    )
