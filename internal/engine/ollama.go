package engine

import "github.com/mha2mla/mha2mla/internal/option"

// imported says what Ollama loses if it imports the checkpoint itself. It runs GGUF files
// with llama.cpp. Its own converter leaves kv_b_proj whole and says nothing of the sizes of
// a head without latents, at which llama.cpp caches keys and values of all heads. It also
// writes "deepseek-v3" for the pre-tokenizer, whatever the tokenizer is. Read in
// ollama/ollama v0.33.0-rc2, convert/convert_deepseek2.go, and ggml-org/llama.cpp 07bede6,
// src/models/deepseek2.cpp.
func imported(s *subject, _ Engine) (string, option.Text) {
	if s.GGUF {
		return "", nothing
	}
	return "its own import caches keys and values of all heads, and cuts up text as DeepSeek-V3 does", option.Plain("convert to a .gguf file, or give it the one that convert_hf_to_gguf.py of llama.cpp writes")
}
