package family

import (
	"fmt"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
)

// quantisedTensors lists how tensors' names end under methods of quantisation. They tell
// the method where the configuration does not.
var quantisedTensors = []struct{ end, method string }{
	{".qweight", "GPTQ or AWQ"}, {".g_idx", "GPTQ"},
	{".weight_packed", "compressed-tensors"},
	{".weight_scale_inv", "FP8 in blocks"}, {".weight_scale", "FP8"},
	{".weight.absmax", "bitsandbytes"}, {".SCB", "bitsandbytes"},
	{".W_q", "HQQ"},
	{".scales", "a method of MLX, GPTQ or AWQ"}, {".qzeros", "GPTQ"}, {".weight_scale_2", "NVFP4"},
	{"_proj_scales", "MXFP4"}, {".quant_map", "bitsandbytes"},
}

// quantised returns an error that names the method if a checkpoint is quantised.
func quantised(config *Config, src *checkpoint.Source) error {
	method := ""
	for _, key := range []string{"quantization_config", "compression_config", "quantization"} {
		if !config.Has(key) {
			continue
		}
		var c struct {
			Method string `json:"quant_method"`
		}
		if _, err := config.decode(key, "an object", &c); err != nil || c.Method == "" {
			c.Method = "a method that " + key + " does not name"
		}
		method = c.Method
	}
	for _, t := range src.Tensors() {
		for _, q := range quantisedTensors {
			if method == "" && strings.HasSuffix(t.Name, q.end) {
				method = q.method
			}
		}
	}
	if method == "" {
		return nil
	}
	return &UnsupportedError{fmt.Sprintf("%q is quantised with %s", src.Path, method), "convert the unquantised model and quantise the result"}
}
