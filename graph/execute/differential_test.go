package execute_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/introspection"

	"roster/graph/execute/internal/testschema"
	"roster/graph/execute/internal/testschema/generated"
)

// TestLikeGqlgen runs documents on gqlgen's own executor and on ours, and compares
// the answers.
func TestLikeGqlgen(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/documents.graphql")
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(file), "### ")[1:]
	documents = append(documents, "introspection\n"+introspection.Query)
	for _, d := range documents {
		title, document, _ := strings.Cut(d, "\n")
		name, variables, braced := strings.Cut(title, "{")
		if braced {
			variables = "{" + variables
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sameAsGqlgen(t, setup(t).executor, document, variables)
		})
	}
}

func gqlgenExecutor() *executor.Executor {
	return newExecutor(generated.NewExecutableSchema(generated.Config{Resolvers: testschema.New(12)}))
}

// sameAsGqlgen compares our answer with gqlgen's. The data must be equal. Each of
// our errors must be among gqlgen's. gqlgen has more of them, because it continues
// below values that are null already and repeats errors that concern all parents of
// a batch.
func sameAsGqlgen(t testing.TB, ours *executor.Executor, document, variables string) {
	t.Helper()
	got, want := answer(t, ours, document, variables), answer(t, gqlgenExecutor(), document, variables)
	if !reflect.DeepEqual(decoded(t, got.Data), decoded(t, want.Data)) {
		t.Errorf("%s\ngot  %s\nwant %s", document, text(t, got), text(t, want))
	}
	known := errorSet(want)
	for e := range errorSet(got) {
		if !known[e] {
			t.Errorf("%s\nerror %q is not among %v", document, e, known)
		}
	}
	if (len(got.Errors) == 0) != (len(want.Errors) == 0) {
		t.Errorf("%s\ngot errors %v\nwant %v", document, got.Errors, want.Errors)
	}
}

func decoded(t testing.TB, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return v
}

// errorSet returns path and message of each error, without gqlgen's guess at the
// origin of a null.
func errorSet(r *graphql.Response) map[string]bool {
	set := map[string]bool{}
	for _, err := range r.Errors {
		message := err.Message
		if strings.HasPrefix(message, "cannot return null for non-null") {
			message, _, _ = strings.Cut(message, ": ")
		}
		set[err.Path.String()+" "+message] = true
	}
	return set
}
