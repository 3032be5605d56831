package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
)

// Call is the loading of one field for all parents of a group. Generated code
// passes it to LoadRoot, LoadEach or LoadBatch.
type Call struct {
	// Args holds the field's arguments, as Field.Args returned them.
	Args map[string]any

	parents []any
	plan    *plan
	column  *Column
}

// callContext is the context of a call. Selection finds the call in it.
type callContext struct {
	context.Context
	call Call
}

type callKey struct{}

func (c *callContext) Value(key any) any {
	if key == (callKey{}) {
		return &c.call
	}
	return c.Context.Value(key)
}

// LoadRoot loads a field of a root type, which has no parent.
func LoadRoot[T any](call *Call, results Results[T], get func() (T, error)) {
	v, err := get()
	if err != nil {
		call.column.fail(err)
		return
	}
	results(call.column, []T{v})
}

// LoadEach loads a field by calling get for one parent after the other. Use it for
// values that are in memory. An error concerns only its parent.
func LoadEach[P, T any](call *Call, results Results[T], get func(parent P) (T, error)) {
	values := make([]T, len(call.parents))
	for i, parent := range call.parents {
		v, err := get(parent.(P))
		if err != nil {
			call.column.failOne(i, len(values), err)
			continue
		}
		values[i] = v
	}
	results(call.column, values)
}

// LoadBatch loads a field by calling get once for all parents. An error concerns
// all of them, unless it is a graphql.BatchErrors with one error for each parent.
func LoadBatch[P, T any](call *Call, results Results[T], get func(parents []P) ([]T, error)) {
	parents := make([]P, len(call.parents))
	for i, parent := range call.parents {
		parents[i] = parent.(P)
	}
	values, err := get(parents)
	errs, err := splitErrors(err)
	switch {
	case err != nil:
		call.column.fail(err)
		return
	case errs != nil && len(errs) != len(parents):
		call.column.fail(call.miscount("errors", len(errs)))
		return
	case len(values) != len(parents):
		call.column.fail(call.miscount("results", len(values)))
		return
	}
	for i, err := range errs {
		if err != nil {
			var none T
			values[i] = none
			call.column.failOne(i, len(errs), err)
		}
	}
	results(call.column, values)
}

// splitErrors returns err as errors of single parents or as one error of all.
func splitErrors(err error) ([]error, error) {
	if batch, ok := errors.AsType[graphql.BatchErrors](err); ok {
		return batch.Errors(), nil
	}
	return nil, err
}

// failOne records the error of one parent out of parents.
func (c *Column) failOne(parent, parents int, err error) {
	if c.errs == nil {
		c.errs = make([]error, parents)
	}
	c.errs[parent] = err
}

func (call *Call) miscount(what string, n int) error {
	c := call.column
	return fmt.Errorf("resolver of %s.%s returned %d %s for %d parents",
		c.owner.Name, c.node.field.Name, n, what, len(call.parents))
}
