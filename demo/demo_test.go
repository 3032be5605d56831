package demo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"roster/graph/graphiql"
)

func TestDocumentsReadAndFitTheSchema(t *testing.T) {
	t.Parallel()
	schema, size := loadSchema(t), 0
	for _, d := range Documents() {
		operation := parse(t, schema, d.Name, d.Text)
		size += len(d.Text)
		if !strings.HasPrefix(d.Text, "# ") || operation.Name == "" || operation.Operation != ast.Mutation {
			t.Errorf("%s is not one named mutation that begins with a comment", d.Name)
		}
		if fields := len(operation.SelectionSet); fields > 50 {
			t.Errorf("%s has %d fields, which leaves too little room below the limit on documents", d.Name, fields)
		}
		for _, v := range operation.VariableDefinitions {
			if v.DefaultValue == nil {
				t.Errorf("%s: $%s has no default", d.Name, v.Variable)
			}
		}
	}
	if size > 250_000 {
		t.Errorf("%d bytes in all", size)
	}
}

// TestBusinessIsConsistent expects that documents refer only to what earlier ones
// have made, that unique names are unique, and that there is enough to look at.
func TestBusinessIsConsistent(t *testing.T) {
	t.Parallel()
	made := namesOfBusiness(t, loadSchema(t)).made
	for kind, least := range map[string]int{"UserRef": 300, "OrganizationRef": 12, "PermissionRef": 38, "RoleRef": 8} {
		if made[kind] < least {
			t.Errorf("%d objects have a %s, want %d at least", made[kind], kind, least)
		}
	}
}

func TestPlaygroundExamplesFitTheBusiness(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	known := namesOfBusiness(t, schema)
	for _, example := range graphiql.Examples(true) {
		var variables map[string]any
		if example.Variables != "" {
			if err := json.Unmarshal([]byte(example.Variables), &variables); err != nil {
				t.Errorf("%s: %v", example.Name, err)
			}
		}
		known.follow(t, example.Name, parse(t, schema, example.Name, example.Query), variables)
	}
}

func TestNamesOfManyScripts(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, d := range Documents() {
		all.WriteString(d.Text)
	}
	for _, script := range []string{"Arabic", "Cyrillic", "Devanagari", "Greek", "Han", "Hiragana", "Katakana", "Latin"} {
		if !strings.ContainsFunc(all.String(), func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) }) {
			t.Errorf("nothing is written in %s", script)
		}
	}
}

func TestFillRunsInOrder(t *testing.T) {
	t.Parallel()
	var ran []Document
	err := Fill(t.Context(), func(_ context.Context, text string) error {
		ran = append(ran, Document{Name: Documents()[len(ran)].Name, Text: text})
		return nil
	})
	if err != nil || !slices.Equal(ran, Documents()) {
		t.Errorf("%v after %d documents", err, len(ran))
	}
	if !slices.IsSortedFunc(ran, func(a, b Document) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not in the order of their names")
	}
}

func TestFillStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	cause, ran := errors.New("refused"), 0
	err := Fill(t.Context(), func(context.Context, string) error {
		if ran++; ran == 2 {
			return cause
		}
		return nil
	})
	if !errors.Is(err, cause) || !strings.Contains(err.Error(), Documents()[1].Name) || ran != 2 {
		t.Errorf("%v after %d documents", err, ran)
	}
}

func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphqls", Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func parse(t *testing.T, schema *ast.Schema, name, text string) *ast.OperationDefinition {
	t.Helper()
	document, faults := gqlparser.LoadQueryWithRules(schema, text, rules.NewDefaultRules())
	if faults != nil {
		t.Fatalf("%s: %v", name, faults)
	}
	if len(document.Operations) != 1 {
		t.Fatalf("%s has %d operations", name, len(document.Operations))
	}
	return document.Operations[0]
}

// namesOfBusiness returns the names that exist after all documents have run.
func namesOfBusiness(t *testing.T, schema *ast.Schema) *names {
	t.Helper()
	known := newNames(schema)
	for _, d := range Documents() {
		known.follow(t, d.Name, parse(t, schema, d.Name, d.Text), nil)
	}
	return known
}
