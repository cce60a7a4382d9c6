package fault

// Kind says what an error means to the caller of the program. The command line turns it into
// the exit status.
type Kind int

// These are the kinds. If several errors are joined in one, the kind that comes last in this
// list holds for all: a mistake of the caller counts more than a flaw of the input, and that
// more than a failure of the machine.
const (
	Failed      Kind = iota // input or output failed; an error that says no kind is of this one, too
	Again                   // nothing is wrong, and it may succeed later or elsewhere
	NoSpace                 // a disk is full
	Unsupported             // a model is sound and cannot be converted, or an engine does not load it
	Misread                 // an engine loads a model and computes something else
	Malformed               // the input is malformed or unsafe
	Usage                   // the request makes no sense, so that the user has to change it
	Threshold               // a measurement is past the limit that the user has set
)

// Of returns the kind of err. That is the one that comes last in the list of kinds, among
// those that err and the errors that it wraps say.
func Of(err error) Kind {
	kind := Failed
	if e, ok := err.(interface{ Kind() Kind }); ok {
		kind = e.Kind()
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		inner := e.Unwrap()
		if inner != nil {
			kind = max(kind, Of(inner))
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			kind = max(kind, Of(inner))
		}
	}
	return kind
}
