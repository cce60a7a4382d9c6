package sysmem

// unknown is how many bytes of memory the program assumes if the system does not say.
const unknown = 2 << 30

// Free returns how many bytes of memory the process may take without driving other processes
// to the disk. That is the memory that the system has available, within the limits of the
// process's control groups. If the system does not say, Free returns 2 GiB.
func Free() int64 {
	if n, ok := Available(); ok {
		return n
	}
	return unknown
}

// Total returns how many bytes of memory the machine has, or the smallest limit of the
// process's control groups. Unlike Free it is the same from run to run. If the system does
// not say, Total returns 2 GiB.
func Total() int64 {
	if n := total("/"); n > 0 {
		return n
	}
	return unknown
}

// Available is Free if the system says how much that is; known is false if it does not.
func Available() (bytes int64, known bool) {
	n := free("/")
	return n, n > 0
}
