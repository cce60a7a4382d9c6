"""Makes the checkpoint of this folder: a Qwen3 of 0.3 million parameters that has learned from
stories260k what it predicts, because no trained Qwen3 is small enough to lie here.

It has 4 heads of 32 dimensions and 2 KV heads, with trained norms on queries and keys. All but
attention begins as in stories260k, whose tokens it has. The last 8192 tokens of the text are not
learned from. Made with transformers 5.24.0 and torch 2.15.0, in 400 steps.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

HERE = Path(__file__).parent
STORIES = HERE.parent / "stories260k"
STEPS, WINDOW, UNSEEN = 400, 128, 8192


def student(teacher):
    """Returns a Qwen3 beside the attention of which all is as in the teacher."""
    c = teacher.config
    model = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=c.vocab_size, hidden_size=c.hidden_size, intermediate_size=c.intermediate_size,
        num_hidden_layers=c.num_hidden_layers, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        max_position_embeddings=c.max_position_embeddings, rms_norm_eps=c.rms_norm_eps,
        tie_word_embeddings=c.tie_word_embeddings, rope_parameters=dict(rope_type="default", rope_theta=10000.0),
        use_sliding_window=False, bos_token_id=1, eos_token_id=2,
    )).float()
    known, own = teacher.state_dict(), model.state_dict()
    for name, w in own.items():
        if name in known and "self_attn" not in name:
            w.copy_(known[name])
        elif "proj" in name:
            w.normal_(0, w.shape[-1] ** -0.5)
    model.load_state_dict(own)
    return model


def main():
    torch.manual_seed(1)
    teacher = AutoModelForCausalLM.from_pretrained(STORIES, dtype=torch.float32).eval()
    model = student(teacher)
    ids = json.loads((STORIES / "tinystories.ids.json").read_text())
    text = torch.tensor(ids[: (len(ids) - UNSEEN) // WINDOW * WINDOW]).view(-1, WINDOW)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 50) * (0.5 * (1 + math.cos(math.pi * step / STEPS)) + 0.01)
        x = text[torch.randint(0, len(text), (16,))]
        with torch.no_grad():
            wanted = F.log_softmax(teacher(x).logits, -1)
        found = F.log_softmax(model(x).logits, -1)
        loss = F.kl_div(found, wanted, log_target=True, reduction="none").sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    model.to(torch.bfloat16).save_pretrained(HERE)


main()
