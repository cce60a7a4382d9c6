package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// protoField is a field of a protobuf message: its number, and its value as the message
// encodes it.
type protoField struct {
	number int
	wire   int    // one of the wire types below
	value  uint64 // value of a varint or a number of fixed size
	bytes  []byte // content of a string or message
}

// These are the wire types of protobuf. The obsolete groups are not among them.
const (
	varint   = 0
	fixed64  = 1
	bytesOf  = 2
	fixed32  = 5
	wireBits = 3
)

// fields calls each for the fields of a message, in order. It returns an error if the
// message is malformed, and stops at the first error of each.
func fields(message []byte, each func(protoField) error) error {
	cut := errors.New("the protobuf ends too early, or has an invalid number")
	number := func() (uint64, bool) {
		v, n := binary.Uvarint(message)
		message = message[max(n, 0):]
		return v, n > 0
	}
	for len(message) > 0 {
		key, ok := number()
		if !ok {
			return cut
		}
		f := protoField{number: int(key >> wireBits), wire: int(key & (1<<wireBits - 1))}
		if key>>wireBits == 0 || key>>wireBits >= 1<<29 {
			return fmt.Errorf("protobuf field number %d", key>>wireBits)
		}
		size := uint64(0)
		switch f.wire {
		case varint:
			if f.value, ok = number(); !ok {
				return cut
			}
		case fixed64:
			size = 8
		case fixed32:
			size = 4
		case bytesOf:
			if size, ok = number(); !ok {
				return cut
			}
		default:
			return fmt.Errorf("protobuf wire type %d", f.wire)
		}
		if size > uint64(len(message)) {
			return cut
		}
		f.bytes, message = message[:size], message[size:]
		switch f.wire {
		case fixed64:
			f.value = binary.LittleEndian.Uint64(f.bytes)
		case fixed32:
			f.value = uint64(binary.LittleEndian.Uint32(f.bytes))
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// is returns an error unless the field has the given wire type.
func (f protoField) is(wire int) error {
	if f.wire != wire {
		return fmt.Errorf("protobuf field %d has wire type %d, not %d", f.number, f.wire, wire)
	}
	return nil
}
