"""Makes the small checkpoints of this folder, or those that are named.

Each is made, saved and run by the class of Transformers that its configuration names, with
random weights of the size that trained ones have, rounded to BF16. NAME.safetensors beside
NAME holds tokens and the logits of that class in float32. Made with transformers 5.24.0 and
torch 2.15.0.
"""

import os
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB, TOKENS = 64, 40

# what all have; one KV head, because then a conversion can be exact
SIZES = dict(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=1, head_dim=16, max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)

EXPERTS = dict(n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=1, moe_intermediate_size=16)
LATENT = dict(kv_lora_rank=16, q_lora_rank=None, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=16, num_key_value_heads=4, head_dim=None)

MODELS = {
    "smollm3": dict(model_type="smollm3", head_dim=None, no_rope_layers=[1, 0]),
    "glm": dict(model_type="glm"),
    "glm-gqa": dict(model_type="glm", num_key_value_heads=2),
    "ernie4_5": dict(model_type="ernie4_5", rms_norm_eps=1e-5),
    "helium": dict(model_type="helium", head_dim=8),
    "seed_oss": dict(model_type="seed_oss"),
    "glm4_moe": dict(model_type="glm4_moe", num_hidden_layers=3, attention_bias=True, first_k_dense_replace=1, routed_scaling_factor=1.5, **EXPERTS),
    "solar_open": dict(model_type="solar_open", **EXPERTS),
    "dots1": dict(model_type="dots1", norm_topk_prob=True, first_k_dense_replace=1, **{**EXPERTS, "n_shared_experts": 2}),
    "mixtral": dict(model_type="mixtral", num_local_experts=8, num_experts_per_tok=2, intermediate_size=24),
    "qwen3_moe": dict(model_type="qwen3_moe", num_experts=8, num_experts_per_tok=3, moe_intermediate_size=16, norm_topk_prob=True),
    "olmoe": dict(model_type="olmoe", head_dim=None, num_experts=8, num_experts_per_tok=3, intermediate_size=16),
    "minimax_m2": dict(model_type="minimax_m2", rotary_dim=8, num_local_experts=8, num_experts_per_tok=3, intermediate_size=16, rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5)),
    "granitemoe": dict(
        model_type="granitemoe", head_dim=None, num_local_experts=8, num_experts_per_tok=3, intermediate_size=16,
        embedding_multiplier=3.0, logits_scaling=1.5, residual_multiplier=0.7, attention_multiplier=0.3,
    ),
    "granitemoehybrid": dict(
        model_type="granitemoehybrid", head_dim=None, num_local_experts=0, shared_intermediate_size=40, layer_types=["full_attention"] * 2, position_embedding_type="rope", mamba_n_heads=8,
        embedding_multiplier=3.0, logits_scaling=1.5, residual_multiplier=0.7, attention_multiplier=0.3,
    ),
    "granitemoehybrid-nope": dict(
        model_type="granitemoehybrid", head_dim=None, num_local_experts=0, shared_intermediate_size=40, layer_types=["full_attention"] * 2, attention_multiplier=0.3, mamba_n_heads=8,
    ),
    "deepseek_v2": dict(model_type="deepseek_v2", **LATENT, **{**EXPERTS, "first_k_dense_replace": 1}, topk_method="greedy", n_group=1, topk_group=1),
    "deepseek_v3": dict(model_type="deepseek_v3", **LATENT, **{**EXPERTS, "first_k_dense_replace": 1}, n_group=1, topk_group=1, norm_topk_prob=True, routed_scaling_factor=1.5),
    "phi3-part": dict(model_type="phi3", head_dim=None, partial_rotary_factor=0.5, sliding_window=None),
}


def fill(name, weight):
    """Draws the values of a weight so that activations keep the size that they have in trained models."""
    if "correction_bias" in name:
        return weight.normal_(0.0, 0.2)
    if weight.dim() == 1:
        norm = "norm" in name
        return weight.normal_(1.0 if norm else 0.0, 0.2 if norm else 0.5)
    scale = 1.5 if "q_proj" in name or "k_proj" in name or "qkv" in name else 1.0
    if "embed" in name:
        return weight.normal_(0.0, 0.3)
    if "gate.weight" in name or "router" in name:
        scale = 2.0  # some experts are chosen clearly
    return weight.normal_(0.0, scale / weight.shape[-1] ** 0.5)


def make(name, members):
    torch.manual_seed(sum(name.encode()))
    members = {k: v for k, v in {**SIZES, **members}.items() if v is not None or k not in SIZES}
    config = AutoConfig.for_model(members.pop("model_type"), **members)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for key, weight in list(model.named_parameters()) + list(model.named_buffers()):
            if "inv_freq" not in key:
                weight.copy_(fill(key, weight).bfloat16().float())
        tokens = torch.randint(3, VOCAB, (1, TOKENS))
        logits = model(tokens).logits[0].float()
    folder = os.path.join(HERE, name)
    model.bfloat16().save_pretrained(folder)
    os.remove(os.path.join(folder, "generation_config.json"))
    save_file({"tokens": tokens[0].float(), "logits": logits.contiguous()}, folder + ".safetensors")
    print(name, type(model).__name__, "logits up to %.2f" % logits.abs().max())


for name in sys.argv[1:] or MODELS:
    make(name, MODELS[name])
