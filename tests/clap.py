"""A small folder of transformers' real ``ClapModel``, with random weights and ten words."""

from pathlib import Path

WORDS = ["<s>", "<pad>", "</s>", "<unk>", "an", "angry", "calm", "calmly", "customer", "somebody"]


def save_clap(folder: Path, seed: int = 0) -> Path:
    """The folder, as ``save_pretrained`` writes it: clips of 1 s at once, texts of 18 tokens."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    from emotion_search.engine.embedders.quiet import undisturbed

    text = {
        "vocab_size": 40,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 20,
    }
    audio = {
        "window_size": 4,
        "num_mel_bins": 16,
        "spec_size": 64,
        "hidden_size": 32,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "patch_embeds_hidden_size": 16,
        "num_hidden_layers": 2,
    }
    tokens = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    with undisturbed():
        torch.manual_seed(seed)
        config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=24)
        model = transformers.ClapModel(config)
        for weight in model.parameters():
            torch.nn.init.normal_(weight, 0.02, 0.15)
        model.save_pretrained(folder)
        transformers.ClapFeatureExtractor(
            feature_size=16, max_length_s=1, truncation="rand_trunc"
        ).save_pretrained(folder)
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokens, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
        ).save_pretrained(folder)
    return folder
