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
			[]string{"mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "granitemoe", "phimoe", "dbrx"},
			"Mixtral, Qwen-MoE, OLMoE, Granite MoE, Phi-3.5-MoE, DBRX",
			// Far below zero, normalised sigmoids would equal a softmax. The router has no
			// bias that could move the logits there.
			"its experts are weighed by a softmax of the router's logits, those of DeepSeek-V3 by sigmoids: no weights make the one of the other",
			"convert a dense model of the same series",
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
