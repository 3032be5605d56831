package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/99designs/gqlgen/graphql"
)

// Call is the loading of one field for all parents of a group. Generated code
// hands it to Root, Each or Batch.
type Call struct {
	// Args are the field's arguments as Field.Args read them.
	Args map[string]any

	parents []any
	plan    *plan
	column  *Column
}

// callContext is the context of a call, through which Selection finds it.
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

// Root loads a field of a root type, whose parent is nothing.
func Root[T any](call *Call, results Results[T], get func() (T, error)) {
	v, err := get()
	if err != nil {
		call.column.fail(err)
		return
	}
	results(call.column, []T{v})
}

// Each loads a field by asking one parent after the other. It is meant for
// what is at hand in memory. An error concerns its parent only.
func Each[P, T any](call *Call, results Results[T], get func(parent P) (T, error)) {
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

// Batch loads a field by asking for all parents at once. An error concerns all
// of them, unless it is a graphql.BatchErrors.
func Batch[P, T any](call *Call, results Results[T], get func(parents []P) ([]T, error)) {
	parents := make([]P, len(call.parents))
	for i, parent := range call.parents {
		parents[i] = parent.(P)
	}
	values, err := get(parents)
	errs, err := separate(err)
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

// separate takes apart the errors of single parents, and the one of all.
func separate(err error) ([]error, error) {
	if each, ok := errors.AsType[graphql.BatchErrors](err); ok {
		return each.Errors(), nil
	}
	return nil, err
}

// failOne notes the error of one parent out of many.
func (c *Column) failOne(parent, parents int, err error) {
	if c.errs == nil {
		c.errs = make([]error, parents)
	}
	c.errs[parent] = err
}

func (call *Call) miscount(what string, n int) error {
	c := call.column
	return fmt.Errorf("resolver of %s.%s gave %d %s for %d parents",
		c.owner.Name, c.node.field.Name, n, what, len(call.parents))
}
