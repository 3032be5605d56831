package execute_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"roster/graph/execute"
	"roster/graph/execute/internal/testschema"
	"roster/graph/execute/internal/testschema/generated"
)

// testBundle is a test world with our executor for it.
type testBundle struct {
	resolver *testschema.Resolver
	schema   *execute.Schema
	executor *executor.Executor
}

func setup(t testing.TB) *testBundle {
	t.Helper()
	resolver := testschema.New(12)
	schema := generated.NewSchema(generated.Config{Resolvers: resolver})
	return &testBundle{resolver: resolver, schema: schema, executor: newExecutor(schema)}
}

func newExecutor(schema graphql.ExecutableSchema) *executor.Executor {
	e := executor.New(schema)
	e.SetRecoverFunc(func(context.Context, any) error { return errors.New("panic") })
	return e
}

// answer returns the response to a document, without its extensions.
func answer(t testing.TB, e *executor.Executor, document, variables string) *graphql.Response {
	t.Helper()
	return answerTo(t.Context(), t, e, document, variables, false)
}

func answerTo(ctx context.Context, t testing.TB, e *executor.Executor, document, variables string,
	disableIntrospection bool,
) *graphql.Response {
	t.Helper()
	ctx = graphql.StartOperationTrace(ctx)
	params := &graphql.RawParams{Query: document}
	if variables != "" {
		if err := json.Unmarshal([]byte(variables), &params.Variables); err != nil {
			t.Fatal(err)
		}
	}
	op, errs := e.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		return &graphql.Response{Data: []byte("null"), Errors: errs}
	}
	op.DisableIntrospection = disableIntrospection
	responses, ctx := e.DispatchOperation(ctx, op)
	response := responses(ctx)
	response.Extensions = nil
	return response
}

// text returns the response as JSON, with single quotes for readability.
func text(t testing.TB, r *graphql.Response) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), `"`, `'`)
}
