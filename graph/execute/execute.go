// Package execute answers GraphQL operations level by level.
//
// gqlgen generates the types, the reading of arguments and the resolver
// interfaces. This package runs them, in place of gqlgen's own executor. It
// answers an operation in two phases.
//
// Loading goes down the document breadth first. All objects of one concrete
// type at one position in the document form a group. Each selected field of a
// group is a column: it is resolved once for all objects of the group, and its
// results are the groups of the next level.
//
//	{ users { nodes { name  organization { name } } } }
//
//	group Query          1 object    users         one call  ->  1 connection
//	group Connection     1 object    nodes         one call  ->  50 users
//	group User          50 objects   organization  one call  ->  50 organizations
//	group Organization  50 objects   (only plain fields: nothing to load)
//
// So each resolver is called once for each position in the document, however
// long the lists are. There are no N+1 queries, no goroutines, and no waiting for
// a batch to fill.
//
// Writing goes through the groups depth first and appends the answer to one
// buffer. Plain fields, such as name above, are read from their object only in
// this phase, straight into JSON. Each column knows where the children of each
// parent are, so a null that removes its parent merely truncates the buffer.
//
// Begin with Schema, which generated code makes and whose Exec answers an
// operation, then load.go and write.go for the two phases. Resolvers use only
// Selection, to see which fields the client selected below theirs.
package execute

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Exec returns a handler that answers the operation of ctx: first with its response,
// then with nil.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	switch op.Operation.Operation {
	case ast.Query:
		return oneShot(func(ctx context.Context) *graphql.Response { return s.query(ctx, op) })
	case ast.Mutation:
		return oneShot(func(ctx context.Context) *graphql.Response { return s.mutate(ctx, op) })
	default:
		return graphql.OneShot(graphql.ErrorResponse(ctx, "unsupported GraphQL operation"))
	}
}

// oneShot returns a handler that calls answer once and returns nil afterwards.
func oneShot(answer func(context.Context) *graphql.Response) graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return answer(ctx)
	}
}
