package execute

import (
	"context"
	"errors"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxErrors bounds how many errors one answer has.
const maxErrors = 20

// fault is an error and the place in the answer where it belongs.
type fault struct {
	err  error
	path ast.Path
}

// fault notes an error at the place which is being written.
func (w *writer) fault(err error) {
	if len(w.faults) >= maxErrors {
		return
	}
	path := make(ast.Path, len(w.path))
	for i, step := range w.path {
		if step.name != "" {
			path[i] = ast.PathName(step.name)
		} else {
			path[i] = ast.PathIndex(step.index)
		}
	}
	w.faults = append(w.faults, fault{err, path})
}

// present makes of faults what the client sees.
func (s *Schema) present(ctx context.Context, faults []fault) gqlerror.List {
	var errs gqlerror.List
	for _, f := range faults {
		for _, err := range s.Present(ctx, f.err, f.path) {
			if err.Path == nil {
				err.Path = f.path
			}
			errs = append(errs, err)
		}
	}
	return errs[:min(len(errs), maxErrors)]
}

// presentPlainly shows errors as they are. The place of an input at fault is
// appended to that of the field.
func presentPlainly(_ context.Context, err error, path ast.Path) []*gqlerror.Error {
	shown := gqlerror.Error{Err: err, Message: err.Error()}
	if known, ok := errors.AsType[*gqlerror.Error](err); ok {
		shown = *known
	}
	shown.Path = slices.Concat(path, shown.Path)
	return []*gqlerror.Error{&shown}
}
