package pth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// The opcodes that a tensor of bytes is written with, of protocol 2.
const (
	opProto      = 0x80
	opGlobal     = 'c'
	opMark       = '('
	opTuple      = 't'
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opEmptyTuple = ')'
	opBinUnicode = 'X'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opNewFalse   = 0x89
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opBinPersID  = 'Q'
	opReduce     = 'R'
	opStop       = '.'
)

// global is a name that a pickle looks up; these are all there are.
type global string

const (
	rebuild     global = "torch._utils _rebuild_tensor_v2"
	byteStorage global = "torch ByteStorage"
	orderedDict global = "collections OrderedDict"
)

type (
	mark  struct{}
	tuple []any
	hooks struct{} // an empty OrderedDict

	// storage is the data of a tensor, by the name of its file.
	storage struct {
		key   string
		bytes int64
	}
	// view is a tensor: size bytes of a storage from offset on.
	view struct {
		storage      storage
		offset, size int64
		shape        []int
	}
)

// machine executes a pickle. Nothing it does reaches beyond its stack.
type machine struct {
	in    *bytes.Reader
	stack []any
	memo  map[uint32]any
}

// run executes a program that builds a tensor of bytes.
func run(program []byte) (*view, error) {
	m := &machine{in: bytes.NewReader(program), memo: make(map[uint32]any)}
	for {
		op, err := m.in.ReadByte()
		if err != nil {
			return nil, fmt.Errorf("ends without a result")
		}
		if op == opStop {
			break
		}
		if err := m.step(op); err != nil {
			return nil, fmt.Errorf("byte %d: %w", int(m.in.Size())-m.in.Len(), err)
		}
	}
	if len(m.stack) == 1 {
		if v, ok := m.stack[0].(*view); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("it holds something other than one tensor of type uint8")
}

// step executes one opcode.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		if version, err := m.in.ReadByte(); err != nil || version != 2 {
			return fmt.Errorf("pickle protocol %d: 2 is read", version)
		}
		return nil
	case opGlobal:
		return m.global()
	case opMark:
		m.push(mark{})
		return nil
	case opEmptyTuple, opTuple1, opTuple2, opTuple3, opTuple:
		return m.tuple(op)
	case opBinUnicode, opBinInt, opBinInt1, opBinInt2, opNewFalse:
		return m.constant(op)
	case opBinPut, opLongBinPut, opBinGet, opLongBinGet:
		return m.remember(op)
	case opBinPersID:
		return m.storage()
	case opReduce:
		return m.reduce()
	default:
		return fmt.Errorf("opcode 0x%02x has no part in a tensor of type uint8", op)
	}
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, fmt.Errorf("nothing on the stack")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// bytes reads the next n bytes of the program.
func (m *machine) bytes(n uint32) ([]byte, error) {
	if int64(n) > int64(m.in.Len()) {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	_, err := io.ReadFull(m.in, b)
	return b, err
}

// unsigned reads a little-endian number of n ≤ 4 bytes.
func (m *machine) unsigned(n uint32) (uint32, error) {
	b, err := m.bytes(n)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(append(b, 0, 0, 0)[:4]), nil
}

// global pushes one of the known names.
func (m *machine) global() error {
	var lines [2]string
	for i := range lines {
		for {
			c, err := m.in.ReadByte()
			if err != nil {
				return io.ErrUnexpectedEOF
			}
			if c == '\n' {
				break
			}
			lines[i] += string(rune(c))
		}
	}
	name := global(lines[0] + " " + lines[1])
	switch name {
	case rebuild, byteStorage, orderedDict:
		m.push(name)
		return nil
	default:
		return fmt.Errorf("it asks for %q, which has no part in a tensor of type uint8", lines[0]+"."+lines[1])
	}
}

// constant pushes a number, a text or false.
func (m *machine) constant(op byte) error {
	switch op {
	case opNewFalse:
		m.push(false)
		return nil
	case opBinUnicode:
		n, err := m.unsigned(4)
		if err != nil {
			return err
		}
		text, err := m.bytes(n)
		m.push(string(text))
		return err
	}
	v, err := m.unsigned(map[byte]uint32{opBinInt: 4, opBinInt1: 1, opBinInt2: 2}[op])
	if op == opBinInt {
		m.push(int64(int32(v)))
	} else {
		m.push(int64(v))
	}
	return err
}

// remember puts the top of the stack into the memo, or gets it back.
func (m *machine) remember(op byte) error {
	width := uint32(1)
	if op == opLongBinPut || op == opLongBinGet {
		width = 4
	}
	n, err := m.unsigned(width)
	if err != nil {
		return err
	}
	if op == opBinPut || op == opLongBinPut {
		if len(m.stack) == 0 {
			return fmt.Errorf("nothing on the stack")
		}
		m.memo[n] = m.stack[len(m.stack)-1]
		return nil
	}
	v, ok := m.memo[n]
	if !ok {
		return fmt.Errorf("memo %d was never filled", n)
	}
	m.push(v)
	return nil
}

// tuple gathers the top of the stack.
func (m *machine) tuple(op byte) error {
	n := map[byte]int{opEmptyTuple: 0, opTuple1: 1, opTuple2: 2, opTuple3: 3}[op]
	if op == opTuple {
		for n = 0; ; n++ {
			if n == len(m.stack) {
				return fmt.Errorf("a tuple without a beginning")
			}
			if _, ok := m.stack[len(m.stack)-1-n].(mark); ok {
				break
			}
		}
	}
	if n > len(m.stack) {
		return fmt.Errorf("a tuple of %d with %d on the stack", n, len(m.stack))
	}
	at := len(m.stack) - n
	items := append(tuple{}, m.stack[at:]...)
	if op == opTuple {
		at-- // the mark
	}
	m.stack = append(m.stack[:at], items)
	return nil
}

// storage turns ("storage", ByteStorage, key, location, bytes) into a storage.
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

// reduce calls one of the two functions there are.
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

// newView checks the arguments (storage, offset, size, stride, requires_grad,
// backward_hooks).
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
		if step, ok := stride[i].(int64); !ok || n > 1 && step != v.size {
			return nil, fmt.Errorf("a tensor of size %v and stride %v is not contiguous", size, stride)
		}
		if v.size *= n; v.size > data.bytes {
			return nil, fmt.Errorf("a tensor of size %v in %d bytes", size, data.bytes)
		}
		v.shape[i] = int(n)
	}
	if v.offset > data.bytes-v.size {
		return nil, fmt.Errorf("a tensor of size %v from byte %d of %d", size, offset, data.bytes)
	}
	return v, nil
}
