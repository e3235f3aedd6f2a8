"""How much of a vocabulary's logits is computed at a time, by heads.py, max_logits.py and sparse_encoder.py."""

SLICE = 2048  # terms: 256 positions x 2,048 fp32 logits are 2 MB and stay in the cache
