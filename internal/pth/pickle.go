package pth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// These are the opcodes of protocol 2 with which torch.save writes a tensor of bytes.
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

type (
	mark  struct{}
	tuple []any
)

// String writes the numbers in a tuple, and dots for everything else. A hostile pickle can
// nest tuples so that writing all of them would never end.
func (t tuple) String() string {
	words := make([]string, len(t))
	for i, v := range t {
		words[i] = "…"
		if n, ok := v.(int64); ok {
			words[i] = strconv.FormatInt(n, 10)
		}
	}
	return "[" + strings.Join(words, " ") + "]"
}

// machine executes a pickle. Nothing that it does reaches beyond its stack and its memo.
type machine struct {
	in    *bytes.Reader
	stack []any
	memo  map[uint32]any
}

// run executes a pickle and returns the tensor of bytes that it builds. It returns an error
// if the pickle does or builds anything else.
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
		version, err := m.in.ReadByte()
		if err != nil || version != 2 {
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

// global reads a name and pushes it. It returns an error for a name that a tensor of bytes
// does not need.
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

// remember copies the top of the stack into the memo, or pushes a value from the memo.
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

// tuple replaces the top values of the stack by a tuple of them.
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
