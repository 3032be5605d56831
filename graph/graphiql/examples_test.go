package graphiql

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

func TestExamplesFitTheSchema(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range Examples(true) {
		t.Run(example.Name, func(t *testing.T) {
			t.Parallel()
			document, faults := gqlparser.LoadQueryWithRules(schema, example.Query, rules.NewDefaultRules())
			if faults != nil {
				t.Fatal(faults)
			}
			var variables map[string]any
			if example.Variables != "" {
				if err := json.Unmarshal([]byte(example.Variables), &variables); err != nil {
					t.Errorf("variables: %v", err)
				}
			}
			if _, err := validator.VariableValues(schema, document.Operations[0], variables); err != nil {
				t.Errorf("variables: %v", err)
			}
		})
	}
}

func TestExamplesExplainThemselves(t *testing.T) {
	t.Parallel()
	all := Examples(false)
	names := make([]string, len(all))
	for i, example := range all {
		names[i] = example.Name
		if !strings.HasPrefix(example.Query, "# ") {
			t.Errorf("%s does not begin with a comment", example.Name)
		}
	}
	if first := all[0]; names[0] != "viewer" || first.Variables != "" {
		t.Errorf("the first is %s, with variables %q, which GraphiQL would ignore", names[0], first.Variables)
	}
	for _, subject := range []string{"pages", "roles", "impact", "offboarding", "check-matrix", "as-of", "keys"} {
		if !slices.Contains(names, subject) {
			t.Errorf("there is no example of %s", subject)
		}
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(all) {
		t.Error("two examples have the same name")
	}
}
