"""Runs converted checkpoints in their stock classes: check.py FOLDER, with one of each name.

The logits have to be those that the stock class of the source computes, in NAME.safetensors here.
"""

import os
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

HERE, worst = os.path.dirname(os.path.abspath(__file__)), 0.0
for name in sorted(os.listdir(sys.argv[1])):
    want = load_file(os.path.join(HERE, name.partition("@")[0] + ".safetensors"))
    model = AutoModelForCausalLM.from_pretrained(os.path.join(sys.argv[1], name), dtype=torch.float32).eval()
    with torch.no_grad():
        got = model(want["tokens"].long()[None]).logits[0]
    off = ((got - want["logits"]).abs() / (1 + want["logits"].abs())).max().item()
    worst = max(worst, off)
    print("%-24s %-24s logits off by %.1e" % (name, type(model).__name__, off))
sys.exit(worst > 3e-4)
