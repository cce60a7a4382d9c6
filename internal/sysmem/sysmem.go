// Package sysmem says how much memory there is to use.
package sysmem

// unknown is what is assumed where the system does not say.
const unknown = 2 << 30

// Free returns the bytes of memory that the process may take without pushing
// anybody else out: what the system has available, within the limits of the
// process's control groups.
func Free() int64 {
	if n := free("/"); n > 0 {
		return n
	}
	return unknown
}
