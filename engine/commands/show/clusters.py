"""Clusterings on a terminal and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emotion_search.engine.commands.show.tables import PlainTable, print_table
from emotion_search.engine.commands.words import counted
from emotion_search.index.database.clusterings import ClusteringInfo
from emotion_search.index.database.filters import NOISE


def clustering_record(info: ClusteringInfo, *, clusters: bool = True) -> dict[str, Any]:
    """A clustering as plain data; with what each cluster holds, if wanted."""
    record = {**vars(info)}
    summary = record.pop("summary")
    return record | ({"clusters": summary} if clusters else {})


def print_clustering(info: ClusteringInfo) -> None:
    """A clustering on stdout."""
    print(
        f"{info.name}: {counted(info.k, 'cluster')} of {counted(info.clips, 'clip')}"
        f" by {info.method} (embeddings of"
        f" {info.model}, space {info.space_version})"
    )
    tried: Mapping[str, float] = info.parameters.get("silhouettes", {})
    if tried:
        print("silhouette by k ", "  ".join(f"{k}: {value:.3f}" for k, value in tried.items()))
    table = PlainTable(
        "cluster", "clips", "share", "cohesion", "more of", "speakers", "typical clips"
    )
    for one in info.summary:
        speakers = ""
        if one["speaker_share"] is not None:
            speakers = f"{one['speakers']} (first {one['speaker_share']:.0%})"
        table.row(
            "noise" if one["cluster"] == NOISE else str(one["cluster"]),
            str(one["size"]),
            f"{one['share']:.0%}",
            f"{one['cohesion']:.2f}",
            _more(one),
            speakers,
            ", ".join(map(str, one["typical"])),
        )
    table.print()


def print_clusterings(found: Sequence[ClusteringInfo]) -> None:
    """Clusterings as a table on stdout."""
    print_table(
        ("name", "method", "clusters", "clips", "made at"),
        [(o.name, o.method, o.k, o.clips, f"{o.created_at:%Y-%m-%d %H:%M}") for o in found],
    )


def _more(one: Mapping[str, Any]) -> str:
    parts = []
    for kind in ("labels", "predicted", "emotions", "sources"):
        values = ", ".join(f"{e['value']} ×{e['lift']:.1f}" for e in one[kind][:3])
        if values:
            parts.append(f"{kind.removesuffix('s')}: {values}")
    return "; ".join(parts)
