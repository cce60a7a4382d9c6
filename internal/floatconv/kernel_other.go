//go:build (!amd64 && !arm64) || noasm

package floatconv

// There are no kernels: plain code does everything.

func decodeGroups[T Real]([]T, []byte, Format) int { return 0 }
func encodeGroups([]byte, []float64, Format) int   { return 0 }
func finiteElements[T Real]([]T) int               { return 0 }
func finiteBytes([]byte, Format) int               { return 0 }
