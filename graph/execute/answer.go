package execute

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Exec answers the operation of ctx.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	switch op.Operation.Operation {
	case ast.Query:
		return once(func(ctx context.Context) *graphql.Response { return s.query(ctx, op) })
	case ast.Mutation:
		return once(func(ctx context.Context) *graphql.Response { return s.mutate(ctx, op) })
	default:
		return graphql.OneShot(graphql.ErrorResponse(ctx, "unsupported GraphQL operation"))
	}
}

// once makes a handler which answers once and then says that it is done.
func once(answer func(context.Context) *graphql.Response) graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return answer(ctx)
	}
}

func (s *Schema) query(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	x := s.begin(op, s.definition.Query)
	x.load(ctx, x.root)
	data, faults := x.write(ctx, x.all)
	return &graphql.Response{Data: data, Errors: s.present(ctx, faults)}
}

// mutate runs the root fields one after the other, each with all that is
// selected below it, until one fails. The answer is written before Mutation
// may keep the effects, so that nothing can go wrong after that.
func (s *Schema) mutate(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	var x *execution
	var data []byte
	var faults []fault
	err := s.Mutation(ctx, func(ctx context.Context) ([]byte, error) {
		x = s.begin(op, s.definition.Mutation)
		data, faults = x.mutate(ctx)
		if len(faults) > 0 {
			return nil, faults[0].err
		}
		return data, nil
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

func (x *execution) mutate(ctx context.Context) ([]byte, []fault) {
	for i := range x.root.columns {
		x.load(ctx, x.loadField(ctx, x.root, i)...)
		if x.failed {
			return x.write(ctx, func(w *writer) bool { w.field(x.root, i, 0); return false })
		}
	}
	return x.write(ctx, x.all)
}

// rolledBack reports the root fields which have no error of their own.
func (x *execution) rolledBack(faults []fault) []fault {
	if x.plan.schema.RolledBack == nil {
		return nil
	}
	var others []fault
	for _, n := range x.root.selection.fields {
		path := ast.Path{ast.PathName(n.name)}
		own := func(f fault) bool { return len(f.path) > 0 && f.path[0] == path[0] }
		if !slices.ContainsFunc(faults, own) {
			others = append(others, fault{x.plan.schema.RolledBack, path})
		}
	}
	return others
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the size of the largest buffer that is kept for another answer.
const maxPooled = 1 << 20

// all writes everything that was selected.
func (x *execution) all(w *writer) bool { return w.object(x.root, 0) }

// write gives the answer which root writes, or null where root returns false,
// and what went wrong.
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
	w := writer{buf: (*buf)[:0]}
	if !root(&w) {
		w.buf = append(w.buf, "null"...)
	}
	data = bytes.Clone(w.buf)
	if cap(w.buf) <= maxPooled {
		*buf = w.buf
		buffers.Put(buf)
	}
	return data, w.faults
}
