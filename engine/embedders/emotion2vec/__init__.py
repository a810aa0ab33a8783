"""emotion2vec and emotion2vec+, by FunASR's weights."""
