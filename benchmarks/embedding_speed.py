"""Embedding throughput beside FunASR, ONNX Runtime or OpenVINO: same weights and threads, in turn.

    python -m benchmarks.embedding_speed --size large --threads 2
    python -m benchmarks.embedding_speed --size base --peer onnxruntime    # or openvino

Weights are random: speed does not depend on their values, and neither does exactness in float32.
`of peak` is the share of this machine's best float32 matrix product (4096 x 4096) that the
multiplications of the network alone account for.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import describe
from emotion_search.engine.embedders.emotion2vec.model import Emotion2vec
from emotion_search.engine.embedders.onnx.export import export_onnx
from emotion_search.engine.embedders.quiet import undisturbed
from tests.checkpoints import BASE, LARGE, make_checkpoint

CONFS = {"base": BASE, "large": LARGE}


def clips_of(kind: str) -> list[np.ndarray]:
    """Noise of the lengths of a case, about 24 s in all."""
    rng = np.random.default_rng(0)
    lengths = {
        "1 s": [1.0] * 24,
        "3 s": [3.0] * 8,
        "15 s": [15.0] * 2,
        "30 s": [30.0],
        "mixed 0.5-12 s": list(rng.uniform(0.5, 12.0, 6)),
    }[kind]
    return [rng.normal(size=round(s * 16_000)).astype(np.float32) for s in lengths]


def operations(conf: dict, samples: int) -> float:
    """Multiply-adds, times two, of the network's matrix products and convolutions for a clip."""
    dim, channels = conf["embed_dim"], 512
    total, rows, width = 0.0, samples, 1
    for kernel, stride in [(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]:
        rows = (rows - kernel) // stride + 1
        total += 2 * rows * kernel * width * channels
        width = channels
    total += 2 * rows * channels * dim + 5 * 2 * rows * dim * (dim // 16) * 19
    tokens, blocks = rows + 10, conf["depth"] + conf["modalities"]["audio"]["prenet_depth"]
    return total + blocks * (2 * tokens * 12 * dim * dim + 4 * tokens * tokens * dim)


def peak() -> float:
    """This machine's best rate of a float32 matrix product, operations a second."""
    a = torch.randn(4096, 4096)
    best = min(timed(lambda: a @ a) for _ in range(6))
    return 2 * 4096**3 / best


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


Embed = Callable[[np.ndarray], np.ndarray]


def funasr(checkpoint: Path, _: Emotion2vec, threads: int) -> Embed:
    """FunASR's own embedding of a clip."""
    with undisturbed():
        from funasr import AutoModel

        theirs = AutoModel(
            model=str(checkpoint),
            disable_update=True,
            disable_pbar=True,
            ncpu=threads,
            device="cpu",
        )
    how = {"granularity": "utterance", "extract_embedding": True, "disable_pbar": True}
    return lambda clip: theirs.generate(clip, **how)[0]["feats"]


def onnxruntime(checkpoint: Path, ours: Emotion2vec, threads: int) -> Embed:
    """That of the exported model in ONNX Runtime."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = threads
    path = export_onnx(ours, checkpoint / "model.onnx").path
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda clip: session.run(["vector"], {"samples": clip[None]})[0][0]


def openvino(checkpoint: Path, ours: Emotion2vec, threads: int) -> Embed:
    """That of the exported model in OpenVINO, in float32."""
    import openvino

    path = export_onnx(ours, checkpoint / "model.onnx").path
    how = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.compile_model(path, "CPU", how)
    return lambda clip: model([clip[None]])[model.output("vector")][0]


PEERS = {"funasr": funasr, "onnxruntime": onnxruntime, "openvino": openvino}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=CONFS, default="large")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", choices=PEERS, default="funasr")
    parser.add_argument("--precision", default="float32")
    options = parser.parse_args()
    conf = CONFS[options.size]
    torch.set_num_threads(options.threads)
    print(describe(options.peer, "torch", "numpy"))
    best = peak()
    print(
        f"{options.size}, {options.precision}, {options.threads} threads;"
        f" float32 matrix product {best / 1e9:.0f} GFLOP/s\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = make_checkpoint(Path(folder), conf=conf)
        ours = Emotion2vec(checkpoint, name="x", device="cpu", precision=options.precision)
        theirs = PEERS[options.peer](checkpoint, ours, options.threads)
        row = "{:<16} {:>12} {:>12} {:>7} {:>13} {:>11} {:>11}"
        print(
            row.format(
                "clips",
                f"{options.peer} s/s",
                "ours s/s",
                "ratio",
                "1 - min cos",
                "of peak",
                "theirs",
            )
        )
        for kind in ("1 s", "3 s", "15 s", "30 s", "mixed 0.5-12 s"):
            clips = clips_of(kind)
            seconds = sum(map(len, clips)) / 16_000

            def peer(clips: list[np.ndarray] = clips) -> list[np.ndarray]:
                return [theirs(clip) for clip in clips]

            def own(clips: list[np.ndarray] = clips) -> np.ndarray:
                return ours.embed(clips).vectors

            worst = min(cosine(a, b) for a, b in zip(peer(), own(), strict=True))
            times: dict[str, list[float]] = {"theirs": [], "ours": []}
            for _ in range(options.rounds):
                times["theirs"].append(timed(peer))
                times["ours"].append(timed(own))
            a, b = (statistics.median(times[side]) for side in ("theirs", "ours"))
            work = sum(operations(conf, len(clip)) for clip in clips) / best
            print(
                row.format(
                    kind,
                    f"{seconds / a:.2f}",
                    f"{seconds / b:.2f}",
                    f"{a / b:.2f}",
                    f"{1 - worst:.1e}",
                    f"{work / b:.0%}",
                    f"{work / a:.0%}",
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
