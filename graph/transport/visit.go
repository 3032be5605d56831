package transport

import (
	"context"
	"net/http"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/problem"
	"roster/signin"
	"roster/signin/browser"
)

// credentialFields returns the root fields of a mutation that carry a credential, and how
// many root fields there are.
func (h *Handler) credentialFields(operation *graphql.OperationContext) (carrying []string, all int) {
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				all++
				if h.carries(s, operation.Variables) {
					carrying = append(carrying, s.Name)
				}
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				walk(s.Definition.SelectionSet)
			}
		}
	}
	if operation.Operation.Operation == ast.Mutation {
		walk(operation.Operation.SelectionSet)
	}
	return carrying, all
}

// carries reports whether the field carries a credential: always, or in this input.
func (h *Handler) carries(field *ast.Field, variables map[string]any) bool {
	if field.Definition == nil {
		return false
	}
	return field.Definition.Directives.ForName("credential") != nil || slices.ContainsFunc(field.Arguments, func(a *ast.Argument) bool {
		value, err := a.Value.Value(variables)
		return err == nil && h.hasCredential(field.Definition.Arguments.ForName(a.Name).Type.Name(), value)
	})
}

// hasCredential reports whether a value of the input type, or of a list of it, has a
// credential.
func (h *Handler) hasCredential(inputType string, value any) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, func(element any) bool { return h.hasCredential(inputType, element) })
	case map[string]any:
		for _, f := range h.schema.Types[inputType].Fields { // JSON has none
			if v := value[f.Name]; v != nil && (f.Directives.ForName("credential") != nil || h.hasCredential(f.Type.Name(), v)) {
				return true
			}
		}
	}
	return false
}

// carriesCredential reports whether a mutation of the operation carries a credential.
func (h *Handler) carriesCredential(operation *graphql.OperationContext) bool {
	carrying, _ := h.credentialFields(operation)
	return len(carrying) > 0
}

// checkCredential refuses a document with a mutation that carries a credential unless it
// stands alone: the document could be undone, and the count of attempts with it. A dry run
// would give away a right password, and a kept answer would keep the secret.
func (r *request) checkCredential(operation *graphql.OperationContext) error {
	carrying, all := r.handler.credentialFields(operation)
	switch {
	case len(carrying) == 0:
		return nil
	case all > 1:
		return refuseDocument("%s carries a secret, so that it stands alone in its document.", carrying[0])
	case isDryRun(operation.Operation):
		return refuseDocument("%s carries a secret, so that there is no @dryRun of it.", carrying[0])
	case len(r.http.Header["Idempotency-Key"]) > 0:
		return refuseDocument("%s carries a secret, so that its answer is not kept: send it without Idempotency-Key.", carrying[0])
	}
	return nil
}

func refuseDocument(format string, args ...any) error {
	return &refusal{status: statusUnprocessable, ofDocument: true, cause: problem.New(problem.Invalid, format, args...)}
}

// withVisit returns a context in which the mutations of the request can sign its client in
// or out.
func (r *request) withVisit(ctx context.Context, operation *ast.OperationDefinition) context.Context {
	visit := browser.Visit(r.http, isBrowser(r.http.Header))
	if !isDryRun(operation) { // of which nothing comes
		r.visit = visit
	}
	return signin.WithVisit(ctx, visit)
}

// isBrowser reports whether a page sent the request, which gets the session as a cookie.
func isBrowser(h http.Header) bool { return h.Get("Origin") != "" }
