"""Small checkpoints of FunASR's real Emotion2vec class, with random weights, for the tests."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from emotion_search.engine.embedders.emotion2vec.funasr_class import emotion2vec_class
from emotion_search.engine.embedders.quiet import undisturbed

LABELS = (
    "生气/angry",
    "厌恶/disgusted",
    "恐惧/fearful",
    "开心/happy",
    "中立/neutral",
    "其他/other",
    "难过/sad",
    "吃惊/surprised",
    "<unk>",
)


def model_conf(
    dim: int = 32,
    heads: int = 4,
    channels: int = 16,
    depth: int = 2,
    prenet: int = 1,
    groups: int = 4,
) -> dict:
    """A configuration with the published one's keys, and small sizes."""
    audio = {
        "type": "AUDIO",
        "prenet_depth": prenet,
        "prenet_layerdrop": 0.05,
        "prenet_dropout": 0.1,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "num_extra_tokens": 10,
        "init_extra_token_zero": True,
        "mask_noise_std": 0.01,
        "mask_prob": 0.5,
        "inverse_mask": False,
        "mask_prob_adjust": 0.05,
        "keep_masked_pct": 0.0,
        "mask_length": 5,
        "add_masks": False,
        "remove_masks": False,
        "mask_dropout": 0.0,
        "encoder_zero_mask": True,
        "mask_channel_prob": 0.0,
        "mask_channel_length": 64,
        "ema_local_encoder": False,
        "local_grad_mult": 1.0,
        "use_alibi_encoder": True,
        "alibi_scale": 1.0,
        "learned_alibi": False,
        "alibi_max_pos": None,
        "learned_alibi_scale": True,
        "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False,
        "num_alibi_heads": heads,
        "model_depth": depth,
        "decoder": None,
        "extractor_mode": "layer_norm",
        "feature_encoder_spec": (
            f"[({channels}, 10, 5)] + [({channels}, 3, 2)] * 4 + [({channels},2,2)] * 2"
        ),
        "conv_pos_width": 95,
        "conv_pos_groups": groups,
        "conv_pos_depth": 5,
        "conv_pos_pre_ln": False,
    }
    return {
        "loss_beta": 0.0,
        "loss_scale": None,
        "depth": depth,
        "start_drop_path_rate": 0.0,
        "end_drop_path_rate": 0.0,
        "num_heads": heads,
        "norm_eps": 1e-5,
        "norm_affine": True,
        "encoder_dropout": 0.1,
        "post_mlp_drop": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.0,
        "dropout_input": 0.0,
        "layerdrop": 0.05,
        "embed_dim": dim,
        "mlp_ratio": 4.0,
        "layer_norm_first": False,
        "average_top_k_layers": depth,
        "end_of_block_targets": False,
        "clone_batch": 8,
        "normalize": True,
        "modalities": {"audio": audio},
    }


BASE = model_conf(dim=768, heads=12, channels=512, depth=8, prenet=4, groups=16)
"""The architecture of emotion2vec_plus_base: 93 million parameters."""

LARGE = model_conf(dim=1024, heads=16, channels=512, depth=8, prenet=4, groups=16)
"""The architecture of emotion2vec_plus_large: 162 million parameters."""


def make_checkpoint(
    folder: Path,
    *,
    seed: int = 0,
    labels: tuple[str, ...] | None = LABELS,
    conf: dict | None = None,
) -> Path:
    """Write a checkpoint as the hubs publish them, which ``funasr.AutoModel`` loads.

    Every weight is random and none is trivial, so that a forgotten term cannot go unnoticed.
    """
    import torch
    import yaml

    with undisturbed(), emotion2vec_class() as Emotion2vec:  # noqa: N806
        conf = conf or model_conf()
        torch.manual_seed(seed)
        model = Emotion2vec(model_conf=conf, vocab_size=len(labels) if labels else -1)
        _fill(model, torch.Generator().manual_seed(seed))
    state = {
        name if name.startswith("proj.") else f"d2v_model.{name}": value.contiguous()
        for name, value in model.state_dict().items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state, "last_optimizer_state": None, "cfg": {}}, folder / "model.pt")
    config = {"model": "Emotion2vec", "model_conf": conf, "scope_map": ["d2v_model.", "none"]}
    metas = {"init_param": "model.pt", "config": "config.yaml"}
    if labels:
        config |= {
            "tokenizer": "CharTokenizer",
            "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True},
        }
        metas["tokenizer_conf"] = {"token_list": "tokens.txt"}
        (folder / "tokens.txt").write_text("\n".join(labels), encoding="utf-8")
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "configuration.json").write_text(json.dumps({"file_path_metas": metas}))
    return folder


def _fill(model, generator) -> None:
    import torch

    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("alibi_scale"):
                weight.copy_(torch.rand(weight.shape, generator=generator) * 1.5 - 0.25)
            elif name.endswith("extra_tokens"):
                weight.copy_(normal(weight.shape))
            elif weight.dim() == 1 and name.endswith("weight"):
                weight.copy_(1 + 0.1 * normal(weight.shape))
            elif weight.dim() == 1:
                weight.copy_(0.05 * normal(weight.shape))
            else:
                gain = math.sqrt(2.0) if ".local_encoder." in name else 1.2
                weight.copy_(normal(weight.shape) * gain / math.sqrt(weight[0].numel()))


def funasr_model(folder: Path) -> Any:
    """FunASR's own model of a checkpoint; on one thread, since it sets torch's for the process."""
    from funasr import AutoModel

    options = {"disable_update": True, "disable_pbar": True, "device": "cpu", "ncpu": 1}
    return AutoModel(model=str(folder), **options)
