package sysmem

// unknown is what is assumed where the system does not say.
const unknown = 2 << 30

// Free returns the bytes of memory that the process may take without pushing
// anybody else out: what the system has available, within the limits of the
// process's control groups.
func Free() int64 {
	if n, ok := Available(); ok {
		return n
	}
	return unknown
}

// Total returns the bytes of memory of the machine, or of the least of the process's
// control groups: unlike what is free, the same from run to run.
func Total() int64 {
	if n := total("/"); n > 0 {
		return n
	}
	return unknown
}

// Available is Free where the system says it; else it reports false.
func Available() (bytes int64, known bool) {
	n := free("/")
	return n, n > 0
}
