package export

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/mha2mla/mha2mla/internal/checkpoint"
	"github.com/mha2mla/mha2mla/internal/gguf"
	"github.com/mha2mla/mha2mla/internal/llamacpp"
)

// Type returns the type in which a tensor is written that asks for the given one. Vectors, norms
// and routers are F32 (conversion/base.py, prepare_tensors), and rows that are no whole blocks of
// Q8_0 are F16.
func Type(name string, shape []int64, asked checkpoint.DType) checkpoint.DType {
	switch {
	case len(shape) <= 1, asked == checkpoint.F64, strings.HasSuffix(name, "."+llamacpp.Router+".weight"):
		return checkpoint.F32
	case asked == checkpoint.Q8_0 && shape[len(shape)-1]%gguf.Q8Numbers != 0:
		return checkpoint.F16
	}
	return asked
}

// Modelfile returns the text by which Ollama makes a model of a file beside it:
// ollama create NAME -f MODELFILE. Ollama reads the chat template from the file itself.
func Modelfile(file string) []byte { return fmt.Appendf(nil, "FROM ./%s\n", file) }

// Named reports whether a GGUF file has a name for a tensor.
func Named(name string) bool {
	_, ok := llamacpp.Name(name)
	return ok
}

// Derived reports whether a tensor holds what everybody computes anew, and is left out
// (conversion/base.py, prepare_tensors).
func Derived(name string) bool {
	for _, end := range []string{".attention.masked_bias", ".attention.bias", ".rotary_emb.inv_freq"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// upward is the name of the tensor that is written in two parts.
const upward = "self_attn.kv_b_proj.weight"

// Parts returns the names of the two parts of a kv_b_proj, content keys and values, and false
// for any other tensor.
func Parts(name string) (keys, values string, ok bool) {
	prefix, ok := strings.CutSuffix(name, upward)
	return prefix + llamacpp.ContentKeys + ".weight", prefix + llamacpp.Values + ".weight", ok
}

// expert matches the names of the tensors of one expert.
var expert = regexp.MustCompile(`^(.*\.` + regexp.QuoteMeta(llamacpp.Experts) + `)(\d+)\.(.*)$`)

// OfExperts returns the name of the tensor that holds one projection of all experts of a layer, if
// the named one is that projection of one of them, and which.
func OfExperts(name string) (all string, number int, ok bool) {
	found := expert.FindStringSubmatch(name)
	if found == nil {
		return "", 0, false
	}
	number, err := strconv.Atoi(found[2])
	return found[1] + found[3], number, err == nil
}

// Sink takes the values of one tensor, in row-major order.
type Sink interface {
	DType() checkpoint.DType
	WriteFloats([]float64) error
	Close() error
}

// Splitter takes the values of a kv_b_proj and writes them to its two parts, head by head. The
// content keys of a head are transposed. It holds one head.
type Splitter struct {
	Keys, Values       Sink
	Rank, Nope, ValueD int // of the latent; of the content keys and the values of a head

	head []float64
}

// DType is the type that has values as fine as those that are written.
func (s *Splitter) DType() checkpoint.DType { return s.Keys.DType() }

// WriteFloats takes the next values.
func (s *Splitter) WriteFloats(values []float64) error {
	whole := (s.Nope + s.ValueD) * s.Rank
	for len(values) > 0 {
		n := min(len(values), whole-len(s.head))
		s.head, values = append(s.head, values[:n]...), values[n:]
		if len(s.head) < whole {
			return nil
		}
		keys := make([]float64, s.Nope*s.Rank)
		for i := range s.Nope {
			for j := range s.Rank {
				keys[j*s.Nope+i] = s.head[i*s.Rank+j]
			}
		}
		if err := s.Keys.WriteFloats(keys); err != nil {
			return err
		}
		if err := s.Values.WriteFloats(s.head[s.Nope*s.Rank:]); err != nil {
			return err
		}
		s.head = s.head[:0]
	}
	return nil
}

// Close completes both parts.
func (s *Splitter) Close() error {
	if err := s.Keys.Close(); err != nil {
		return err
	}
	return s.Values.Close()
}
