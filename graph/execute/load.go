package execute

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// execution is one run of an operation.
type execution struct {
	plan    plan
	root    *group
	recover graphql.RecoverFunc

	// read holds the arguments of root fields that were read ahead; nil for queries.
	read map[*node]arguments

	// failure is the first error that a field has returned. The errors of other fields may
	// follow from it, wherever they stand in the answer.
	failure error
	// stopped is the error of the context once it has ended. Nothing is loaded from
	// then on.
	stopped error
}

// arguments are what Field.Args returned.
type arguments struct {
	args map[string]any
	err  error
}

func (s *Schema) begin(op *graphql.OperationContext, root *ast.Definition) *execution {
	x := &execution{
		plan:    plan{schema: s, variables: op.Variables},
		recover: op.RecoverFunc,
	}
	x.root = newGroup(x.plan.collect(s.objects[root.Name], op.Operation.SelectionSet), 1)
	x.root.parents = append(x.root.parents, nil)
	return x
}

// load resolves the selected fields of groups and of everything below, level by
// level.
func (x *execution) load(ctx context.Context, groups ...*group) {
	for ; len(groups) > 0; groups = groups[1:] {
		for i := range groups[0].columns {
			groups = append(groups, x.loadField(ctx, groups[0], i)...)
		}
	}
}

// loadField resolves one field of a group. It returns the groups of its children.
func (x *execution) loadField(ctx context.Context, g *group, i int) []*group {
	n, c := g.selection.fields[i], &g.columns[i]
	if n.field == nil || n.field.Load == nil || x.isStopped(ctx) {
		return nil
	}
	c.node, c.plan, c.owner = n, &x.plan, g.selection.object
	c.object = x.plan.schema.objects[n.field.Type.Name()]
	x.call(ctx, c, g.parents)
	if x.failure == nil {
		x.failure = c.firstError()
	}
	return c.groups
}

func (x *execution) call(ctx context.Context, c *Column, parents []any) {
	defer func() {
		if r := recover(); r != nil {
			c.fail(x.recover(ctx, r))
		}
	}()
	inner := &callContext{Context: ctx, call: Call{parents: parents, plan: &x.plan, column: c}}
	field := c.node.field
	if field.Args != nil {
		args, err := x.arguments(inner, c.node)
		if err != nil {
			c.fail(err)
			return
		}
		inner.call.Args = args
	}
	field.Load(inner, &inner.call)
}

// arguments reads the arguments of a field, once.
func (x *execution) arguments(ctx context.Context, n *node) (map[string]any, error) {
	if read, known := x.read[n]; known {
		return read.args, read.err
	}
	args, err := n.field.Args(ctx, n.ast.ArgumentMap(x.plan.variables))
	if x.read != nil {
		x.read[n] = arguments{args, err}
	}
	return args, err
}

func (x *execution) isStopped(ctx context.Context) bool {
	if x.stopped == nil {
		x.stopped = ctx.Err()
	}
	return x.stopped != nil
}
