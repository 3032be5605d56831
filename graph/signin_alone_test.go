package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/graph/graphtest"
)

// credentialInputs has an input of each mutation that carries a credential.
var credentialInputs = map[string]string{
	"signUp":                `{email: "new@acme.example"}`,
	"signIn":                `{email: "ada@example.com", password: "x"}`,
	"continueSignIn":        `{ticket: "x", code: "x"}`,
	"accessToken":           `{audience: "x"}`,
	"resetPassword":         `{ticket: "x", code: "x", password: "x"}`,
	"changePassword":        `{currentPassword: "x", newPassword: "x"}`,
	"setTemporaryPassword":  `{user: {email: "ada@example.com"}, password: "` + password + `"}`,
	"confirmEmailChange":    `{ticket: "x", code: "x"}`,
	"acceptInvitation":      `{token: "x"}`,
	"createUser":            `{username: "new", password: "` + password + `"}`,
	"rollApplicationSecret": `{application: "app_01h455vb4pex5vsknk084sn02q"}`,
}

// mayCarryCredential reports whether the mutation carries a credential with some inputs.
func mayCarryCredential(schema *ast.Schema, f *ast.FieldDefinition) bool {
	return slices.ContainsFunc(f.Arguments, func(a *ast.ArgumentDefinition) bool {
		return slices.ContainsFunc(schema.Types[a.Type.Name()].Fields, carriesCredential)
	})
}

// A mutation that carries a credential stands alone in its document, cannot be rehearsed, and
// its answer is not kept. Each in the schema takes part by itself, and needs an input.
func TestCredentialsStandAlone(t *testing.T) {
	t.Parallel()
	b := graphtest.New(t)
	b.Ask(t, graphtest.SmallBusiness)
	before := b.State(t)
	const beside = `createRole(input: {key: "beside"}) { __typename }`
	schema := graphtest.LoadSchema(t, "../schema.graphqls")
	for _, f := range schema.Mutation.Fields {
		if !carriesCredential(f) && !mayCarryCredential(schema, f) {
			continue
		}
		input := credentialInputs[f.Name]
		if input == "" {
			t.Errorf("%s needs an input in credentialInputs", f.Name)
			continue
		}
		call := fmt.Sprintf("%s(input: %s) { __typename }", f.Name, input)
		inVariable := "mutation($input: " + f.Arguments[0].Type.String() + ") { a: " + f.Name + "(input: $input) { __typename } " + beside + " }"
		for name, document := range map[string]string{
			"in a variable, beside": inVariable,
			"twice":                 "mutation { a: " + call + " b: " + call + " }",
			"beside another":        "mutation { a: " + call + " " + beside + " }",
			"behind another":        "mutation { " + beside + " a: " + call + " }",
			"in inline fragments":   "mutation { ... { a: " + call + " } ... on Mutation { b: " + call + " } }",
			"in a fragment, twice":  "mutation { ...f } fragment f on Mutation { a: " + call + " b: " + call + " }",
			"in a fragment, beside": "mutation { " + beside + " ...f } fragment f on Mutation { ...g } fragment g on Mutation { " + call + " }",
			"not run, beside":       "mutation { a: " + call + " b: " + strings.Replace(call, ")", ") @skip(if: true)", 1) + " }",
			"rehearsed":             "mutation @dryRun { " + call + " }",
			"kept":                  "mutation { " + call + " }",
		} {
			t.Run(f.Name+", "+name, func(t *testing.T) {
				header := graphtest.Headers(b.Key)
				if name == "kept" {
					header.Set("Idempotency-Key", f.Name)
				}
				sent := object{"query": document}
				if name == "in a variable, beside" {
					sent["variables"] = object{"input": graphtest.ParseJSON(t, regexp.MustCompile(`(\w+): `).ReplaceAllString(input, `"$1": `))}
				}
				body, err := json.Marshal(sent)
				graphtest.Must(t, err)
				a := b.Send(t, http.MethodPost, "/graphql", header, body)
				if a.Codes() != "INVALID" || a.Data != nil || !strings.Contains(a.Errors[0].Message, f.Name+" carries a secret") {
					t.Errorf("%s", a.Body)
				}
			})
		}
	}
	b.Unchanged(t, before)
}
