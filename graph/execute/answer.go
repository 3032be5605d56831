package execute

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

func (s *Schema) query(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	x := s.begin(op, s.definition.Query)
	x.load(ctx, x.root)
	data, faults := x.write(ctx, x.all)
	return &graphql.Response{Data: data, Errors: s.present(ctx, faults)}
}

// mutate runs the root fields one after the other, each with everything selected
// below it, until one fails. The answer is written before Mutation keeps the
// effects, so that nothing can fail afterwards.
func (s *Schema) mutate(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	var x *execution
	var data []byte
	var faults []fault
	err := s.Mutation(ctx, func(ctx context.Context) ([]byte, error) {
		x, data, faults = s.begin(op, s.definition.Mutation), nil, nil
		if err := x.ahead(ctx); err != nil {
			return nil, err
		}
		var failure error
		data, faults, failure = x.mutate(ctx)
		return data, failure
	})
	switch {
	case len(faults) > 0:
		faults = append(faults, x.rolledBack(faults)...)
	case err != nil:
		faults = []fault{{err: err}}
	default:
		return &graphql.Response{Data: data}
	}
	return &graphql.Response{Data: []byte("null"), Errors: s.present(ctx, faults)}
}

// ahead calls Schema.Ahead.
func (x *execution) ahead(ctx context.Context) (err error) {
	if x.plan.schema.Ahead == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = x.recover(ctx, r)
		}
	}()
	x.read = make(map[*node]arguments, len(x.root.selection.fields))
	var fields []MutationField
	for _, n := range x.root.selection.fields {
		if n.field == nil || n.field.Args == nil {
			continue
		}
		// The field itself reports an argument that cannot be read.
		if args, err := x.arguments(ctx, n); err == nil {
			fields = append(fields, MutationField{n.field.Name, args})
		}
	}
	return x.plan.schema.Ahead(ctx, fields)
}

// mutate returns the answer, or else its faults and the failure that came first.
func (x *execution) mutate(ctx context.Context) (data []byte, faults []fault, failure error) {
	for i := range x.root.columns {
		if faults, failure := x.mutateField(ctx, i); failure != nil {
			return nil, append(faults, x.further(ctx, i, faults)...), failure
		}
	}
	if data, faults = x.write(ctx, x.all); len(faults) > 0 {
		return nil, faults, faults[0].err
	}
	return data, nil, nil
}

// mutateField runs the i-th root field with everything selected below it. If anything
// fails, it returns the faults and the failure that came first.
func (x *execution) mutateField(ctx context.Context, i int) (faults []fault, failure error) {
	x.failure = nil
	x.load(ctx, x.loadField(ctx, x.root, i)...)
	if x.failure == nil {
		return nil, nil
	}
	_, faults = x.write(ctx, func(w *writer) bool { w.field(x.root, i, 0); return false })
	return faults, x.failure
}

// rolledBack returns a fault for each root field without an error of its own. It returns none
// if one of the faults is of the whole operation.
func (x *execution) rolledBack(faults []fault) []fault {
	ofAll := func(f fault) bool { return f.path == nil }
	if x.plan.schema.RolledBack == nil || slices.ContainsFunc(faults, ofAll) {
		return nil
	}
	var others []fault
	for _, n := range x.root.selection.fields {
		path := ast.Path{ast.PathName(n.name)}
		own := func(f fault) bool { return len(f.path) > 0 && f.path[0] == path[0] }
		if !slices.ContainsFunc(faults, own) {
			others = append(others, fault{err: x.plan.schema.RolledBack, path: path})
		}
	}
	return others
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the capacity of the largest buffer that is reused, in bytes.
const maxPooled = 1 << 20

// all writes the whole answer.
func (x *execution) all(w *writer) bool { return w.object(x.root, 0) }

// write returns the answer that root writes, or null if root returns false, and
// the errors in the order of the answer.
func (x *execution) write(ctx context.Context, root func(*writer) bool) (data []byte, faults []fault) {
	if x.stopped != nil {
		return []byte("null"), []fault{{err: x.stopped}}
	}
	defer func() {
		if r := recover(); r != nil {
			data, faults = []byte("null"), []fault{{err: x.recover(ctx, r)}}
		}
	}()
	buf := buffers.Get().(*[]byte)
	w := writer{buf: (*buf)[:0], max: x.plan.schema.MaxBytes}
	switch ok := root(&w); {
	case w.isFull():
		return []byte("null"), []fault{{err: x.plan.schema.TooLong}}
	case !ok:
		w.buf = append(w.buf, "null"...)
	}
	data = bytes.Clone(w.buf)
	if cap(w.buf) <= maxPooled {
		*buf = w.buf
		buffers.Put(buf)
	}
	return data, w.faults
}
