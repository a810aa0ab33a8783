"""An evaluation as a result that MTEB's tools read, to stand beside those of others."""

from __future__ import annotations

from typing import Any

from emotion_search.engine.quality.evaluate import Evaluation

_NAMES = {
    "mAP": "map",
    "P@1": "precision_at_1",
    "P@10": "precision_at_10",
    "R@10": "recall_at_10",
    "R@100": "recall_at_100",
}


def task_result(evaluation: Evaluation, task: str) -> dict[str, Any]:
    """Retrieval over queries as a ``TaskResult`` of MTEB 1.11 or later
    (github.com/embeddings-benchmark/mteb, ``mteb/results/task_result.py``); no task of MTEB's own,
    so of no version of it and of no language that it lists.

    Args:
        task: what the clips are called among tasks.
    """
    scores = {_NAMES[name]: round(one.value, 6) for name, one in evaluation.micro.items()}
    chance = {f"chance_{_NAMES[name]}": round(at, 6) for name, at in evaluation.chance.items()}
    about = {"hf_subset": "default", "languages": ["und-Zyyy"], "main_score": scores["map"]}
    return {
        "dataset_revision": "no_revision_available",
        "task_name": task,
        "mteb_version": None,
        "scores": {"test": [{**about, **scores, **chance}]},
        "evaluation_time": None,
        "kg_co2_emissions": None,
    }
