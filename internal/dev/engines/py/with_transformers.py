"""with_transformers.py REQUEST ANSWER: what Transformers says of a model."""
import json
import sys

import torch
import transformers

request = json.load(open(sys.argv[1]))
windows = torch.tensor(request["windows"])
model = transformers.AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32).eval()


def logprobs(window):
    said = torch.log_softmax(model(window[None]).logits[0, :-1], -1)
    return said.gather(-1, window[1:, None])[:, 0].tolist()


with torch.no_grad():
    of_windows = [logprobs(w) for w in windows]
    prompt = windows[:1, :request["prompt"]]
    written = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, return_dict_in_generate=True,
                             min_new_tokens=request["write"], max_new_tokens=request["write"])

cached = [t for layer in written.past_key_values.layers for t in (layer.keys, layer.values)]
json.dump({
    "version": transformers.__version__,
    "logprobs": of_windows,
    "written": written.sequences[0, request["prompt"]:].tolist(),
    "cache": sum(t.nbytes / t.shape[2] for t in cached),
    "width": cached[0].itemsize,
}, open(sys.argv[2], "w"))
