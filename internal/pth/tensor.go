package pth

import (
	"fmt"
	"math"
)

// global is a name that a pickle looks up. A tensor of bytes needs these three.
type global string

const (
	rebuild     global = "torch._utils _rebuild_tensor_v2"
	byteStorage global = "torch ByteStorage"
	orderedDict global = "collections OrderedDict"
)

type (
	hooks struct{} // an empty OrderedDict

	// storage names the file that holds the data of a tensor, and their size.
	storage struct {
		key   string
		bytes int64
	}
	// view is a tensor: size bytes of a storage, of which the first is at offset.
	view struct {
		storage      storage
		offset, size int64
		shape        []int
	}
)

// storage replaces the tuple ("storage", ByteStorage, key, location, bytes) on the stack by
// a storage.
func (m *machine) storage() error {
	v, err := m.pop()
	if err != nil {
		return err
	}
	id, ok := v.(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" || id[1] != byteStorage {
		return fmt.Errorf("a reference that is not to bytes")
	}
	key, isText := id[2].(string)
	n, isNumber := id[4].(int64)
	if !isText || !isNumber || n < 0 || n > maxFile {
		return fmt.Errorf("a reference to bytes that is malformed")
	}
	m.push(storage{key, n})
	return nil
}

// reduce calls one of the two functions that a pickle may call.
func (m *machine) reduce() error {
	arguments, err := m.pop()
	if err != nil {
		return err
	}
	function, err := m.pop()
	if err != nil {
		return err
	}
	args, ok := arguments.(tuple)
	switch {
	case ok && function == orderedDict && len(args) == 0:
		m.push(hooks{})
		return nil
	case ok && function == rebuild && len(args) == 6:
		v, err := newView(args)
		m.push(v)
		return err
	default:
		return fmt.Errorf("a call that has no part in a tensor of type uint8")
	}
}

// newView makes a view of the arguments (storage, offset, size, stride, requires_grad,
// backward_hooks). It returns an error unless they describe a contiguous tensor within its
// storage.
func newView(args tuple) (*view, error) {
	data, ok1 := args[0].(storage)
	offset, ok2 := args[1].(int64)
	size, ok3 := args[2].(tuple)
	stride, ok4 := args[3].(tuple)
	if !ok1 || !ok2 || !ok3 || !ok4 || args[4] != false || args[5] != (hooks{}) || len(size) != len(stride) || len(size) > maxDims || offset < 0 {
		return nil, fmt.Errorf("a tensor that is malformed")
	}
	v := &view{storage: data, offset: offset, size: 1, shape: make([]int, len(size))}
	for i := len(size) - 1; i >= 0; i-- {
		n, ok := size[i].(int64)
		if !ok || n <= 0 || n > math.MaxInt32 {
			return nil, fmt.Errorf("a tensor of size %v", size)
		}
		step, ok := stride[i].(int64)
		if !ok || n > 1 && step != v.size {
			return nil, fmt.Errorf("a tensor of size %v and stride %v is not contiguous", size, stride)
		}
		v.size *= n
		if v.size > data.bytes {
			return nil, fmt.Errorf("a tensor of size %v in %d bytes", size, data.bytes)
		}
		v.shape[i] = int(n)
	}
	if v.offset > data.bytes-v.size {
		return nil, fmt.Errorf("a tensor of size %v from byte %d of %d", size, offset, data.bytes)
	}
	return v, nil
}
