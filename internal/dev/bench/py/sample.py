"""sample.py prints the processor seconds and the seconds that Transformers takes to
generate TEXTS texts of TOKENS tokens side by side at temperature 1 with the model in
DIR, in float32 on THREADS threads, after a first token that is not counted."""
import sys
import time

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
logging.set_verbosity_error()
texts, tokens, threads = map(int, sys.argv[2:])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)


def generate(n):
    ids = torch.ones((texts, 1), dtype=torch.long)
    with torch.no_grad():
        model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                       min_new_tokens=n, max_new_tokens=n, pad_token_id=0)


generate(1)
cpu, wall = time.process_time(), time.perf_counter()
generate(tokens)
print(time.process_time() - cpu, time.perf_counter() - wall)
