package family

// Refusal says why the program cannot convert models of some types.
type Refusal struct {
	Types  []string `json:"model_types"`
	Models string   `json:"models"`
	Why    string   `json:"because"`
	Tip    string   `json:"instead"` // what the user can do instead
}

// Refusals lists the models that people have and that the program cannot convert.
func Refusals() []Refusal {
	return []Refusal{
		{
			[]string{"qwen2_moe"}, "Qwen1.5-MoE, Qwen2-MoE",
			// An expert that all tokens pass has a weight of its own in no DeepSeek.
			"a gate weighs the expert that all its tokens pass, for which the target has no place",
			"use Qwen3 with experts",
		},
		{
			[]string{"gpt_oss"}, "gpt-oss",
			"its attention has sinks and windows, and its experts biases and a clamped activation; the target has none of them",
			"use GLM-4.5-Air or Qwen3 with experts",
		},
		{
			[]string{"phimoe", "dbrx", "jetmoe"}, "Phi-3.5-MoE, DBRX, JetMoE",
			"its router is not a softmax, or its LayerNorm subtracts the mean; the target has neither",
			"convert a dense model of the same series",
		},
		{
			[]string{"granitemoeshared", "ernie4_5_moe", "bailing_moe", "hunyuan_v1_moe", "flex_olmo", "afmoe", "exaone_moe"},
			"Granite 3.x with shared experts, ERNIE 4.5 with experts, Ling, Hunyuan-A13B, FlexOlmo, AFMoE, EXAONE with experts",
			"how it weighs its experts or norms its attention is not known here",
			"use GLM-4.5-Air, Mixtral or Qwen3 with experts",
		},
		{
			[]string{"olmo"}, "OLMo 1",
			"its LayerNorm subtracts the mean; the target has RMSNorm alone",
			"choose a model with RMSNorm before attention and MLP, such as Llama or Qwen2",
		},
		{
			[]string{"olmo2", "olmo3", "exaone4"}, "OLMo 2 and 3, EXAONE 4",
			"its norms stand after attention and MLP, those of the target before them",
			"choose a model with RMSNorm before attention and MLP, such as Llama or Qwen2",
		},
		{
			[]string{"gemma2", "gemma3", "gemma3_text"}, "Gemma 2 and 3",
			"it has norms after attention and MLP and limits its logits; the target has neither",
			"choose a model with RMSNorm before attention and MLP alone, such as Llama or Qwen2",
		},
		{
			[]string{"cohere", "cohere2"}, "Command R, Aya",
			"attention and MLP run side by side on one LayerNorm, in the target one after the other on RMSNorm",
			"choose a model of the Llama kind",
		},
		{
			[]string{"gpt_neox", "falcon", "phi", "gptj", "codegen"}, "Pythia, GPT-NeoX, Falcon, Phi-1 and 2, GPT-J",
			"it has LayerNorm with biases and an MLP without a gate, mostly beside the attention; the target has neither",
			"choose a model of the Llama kind",
		},
		{
			[]string{"stablelm", "stablelm_epoch", "persimmon", "starcoder2", "nemotron"}, "StableLM, StarCoder2, Nemotron",
			"it has LayerNorm with biases; the target has RMSNorm alone",
			"choose a model of the Llama kind",
		},
		{
			[]string{"gpt2", "gpt_bigcode", "opt", "bloom", "mpt"}, "GPT-2, StarCoder, OPT, BLOOM, MPT",
			"it has no rotary positions",
			"choose a model of the Llama kind",
		},
		{
			[]string{"glm4"}, "GLM-4-0414",
			"it has norms after attention and MLP, too; the target has none there",
			"use GLM-4-9B of 2024, of model_type glm",
		},
		{
			[]string{"llama4_text", "llama4"}, "Llama 4",
			"it attends within chunks and norms its queries and keys after RoPE; the target does neither",
			"use Llama 3",
		},
		{
			[]string{"mllama", "llava", "llava_next", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "mistral3", "pixtral", "idefics3"}, "Llama 3.2 Vision, LLaVA, Qwen-VL, Pixtral",
			"it sees images; the target reads text alone",
			"convert the language model it was made from",
		},
		{
			[]string{"mamba", "mamba2", "falcon_mamba", "rwkv", "jamba", "bamba", "zamba2", "recurrent_gemma"}, "Mamba, RWKV, Jamba",
			"not all of its layers are attention with a KV cache",
			"choose a model of the Llama kind",
		},
	}
}
