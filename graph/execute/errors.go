package execute

import (
	"context"
	"errors"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// maxErrors is the largest number of errors in one answer.
const maxErrors = 20

// fault is an error with its path in the answer.
type fault struct {
	err   error
	field string // that failed, such as User.memberships
	path  ast.Path
}

// fault records an error at the current path.
func (w *writer) fault(o *Object, n *node, err error) {
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
	w.faults = append(w.faults, fault{err: err, field: o.Name + "." + n.field.Name, path: path})
}

// present returns the errors that the client sees.
func (s *Schema) present(ctx context.Context, faults []fault) gqlerror.List {
	var errs gqlerror.List
	for _, f := range faults {
		for _, err := range s.Present(ctx, f.err, f.field, f.path) {
			if err.Path == nil {
				err.Path = f.path
			}
			errs = append(errs, err)
		}
	}
	return errs[:min(len(errs), maxErrors)]
}

// presentPlainly returns the error unchanged. The path of an input at fault
// follows the path of the field.
func presentPlainly(_ context.Context, err error, _ string, path ast.Path) []*gqlerror.Error {
	shown := gqlerror.Error{Err: err, Message: err.Error()}
	if known, ok := errors.AsType[*gqlerror.Error](err); ok {
		shown = *known
	}
	shown.Path = slices.Concat(path, shown.Path)
	return []*gqlerror.Error{&shown}
}
