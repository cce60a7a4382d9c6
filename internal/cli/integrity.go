package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/mha2mla/mha2mla/internal/fault"
	"github.com/mha2mla/mha2mla/internal/manifest"
	"github.com/mha2mla/mha2mla/internal/report"
)

// integrityError says that an output is not what was written.
type integrityError struct{ report *manifest.Report }

func (e *integrityError) Error() string {
	text := fmt.Sprintf("%q is not what was written: %s", e.report.Path, e.report.Findings[0])
	if more := len(e.report.Findings) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

// Kind says that the input is malformed or unsafe.
func (e *integrityError) Kind() fault.Kind { return fault.Malformed }

// Hint says what to do about the error.
func (e *integrityError) Hint() string { return "convert again, or fetch the files again" }

// runIntegrity compares an output with its manifest.
func runIntegrity(ctx context.Context, u *ui, path string) error {
	r, err := manifest.Check(ctx, path)
	if err != nil {
		return err
	}
	if err := u.result(r, func(w io.Writer) error { return printIntegrity(w, r) }); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return &integrityError{r}
	}
	return nil
}

// printIntegrity prints the report for people.
func printIntegrity(w io.Writer, r *manifest.Report) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return err
		}
	}
	if len(r.Findings) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s\t%d files with %d tensors, %s: as written\n", r.Path, r.Files, r.Tensors, report.Size(r.Bytes))
	return err
}
