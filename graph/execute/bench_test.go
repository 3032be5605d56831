package execute_test

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"roster/graph/execute/internal/testschema"
	"roster/graph/execute/internal/testschema/generated"
)

// page has the shape of the most frequent request: 60 users with two memberships
// each, and the organization and two roles of each membership.
const page = `{ users(first: 60) { nodes { id name friends(first: 2) { id team { name } friends(first: 2) { name } } } } }`

func BenchmarkPage(b *testing.B) {
	config := generated.Config{Resolvers: testschema.New(60)}
	for name, schema := range map[string]graphql.ExecutableSchema{
		"ours":   generated.NewSchema(config),
		"gqlgen": generated.NewExecutableSchema(config),
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, newExecutor(schema), page) })
	}
}

func BenchmarkScalars(b *testing.B) {
	config := generated.Config{Resolvers: testschema.New(60)}
	const document = `{ users(first: 60) { nodes { id name nick age score createdAt color tags } } }`
	for name, schema := range map[string]graphql.ExecutableSchema{
		"ours":   generated.NewSchema(config),
		"gqlgen": generated.NewExecutableSchema(config),
	} {
		b.Run(name, func(b *testing.B) { benchmark(b, newExecutor(schema), document) })
	}
}

// benchmark measures only execution: it parses the document before.
func benchmark(b *testing.B, e *executor.Executor, document string) {
	ctx := graphql.StartOperationTrace(b.Context())
	op, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: document})
	if len(errs) > 0 {
		b.Fatal(errs)
	}
	b.ReportAllocs()
	for b.Loop() {
		responses, ctx := e.DispatchOperation(ctx, op)
		if r := responses(ctx); len(r.Errors) > 0 {
			b.Fatal(r.Errors)
		}
	}
}
