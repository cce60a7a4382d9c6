package fault

// Kind is what an error means to whoever called the program.
type Kind int

// The kinds. Of the errors that are joined in one, the last of this list speaks for all:
// what the caller has done comes before what was found, and that before what failed.
const (
	Failed      Kind = iota // input or output failed; every error that says nothing is of this kind
	NoSpace                 // a disk is full
	Unsupported             // a sound model that cannot be converted, or that an engine does not load
	Malformed               // malformed or unsafe input
	Usage                   // the program was asked for what cannot be meant
	Threshold               // a measure is past the bound that the user has set
)

// Of returns the kind of err, which is that of the errors it wraps if any of them says one.
func Of(err error) Kind {
	kind := Failed
	if e, ok := err.(interface{ Kind() Kind }); ok {
		kind = e.Kind()
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			kind = max(kind, Of(inner))
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			kind = max(kind, Of(inner))
		}
	}
	return kind
}
