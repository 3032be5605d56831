package transport

import (
	"context"
	"net"
	"net/http"

	"github.com/vektah/gqlparser/v2/ast"

	"roster/problem"
	"roster/signin"
)

// credentialFields returns the root fields of a mutation that carry a credential, and how
// many root fields there are.
func credentialFields(operation *ast.OperationDefinition) (carrying []string, all int) {
	var walk func(set ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch s := selection.(type) {
			case *ast.Field:
				all++
				if s.Definition != nil && s.Definition.Directives.ForName("credential") != nil {
					carrying = append(carrying, s.Name)
				}
			case *ast.InlineFragment:
				walk(s.SelectionSet)
			case *ast.FragmentSpread:
				walk(s.Definition.SelectionSet)
			}
		}
	}
	if operation.Operation == ast.Mutation {
		walk(operation.SelectionSet)
	}
	return carrying, all
}

// carriesCredential reports whether a mutation of the operation carries a credential.
func carriesCredential(operation *ast.OperationDefinition) bool {
	carrying, _ := credentialFields(operation)
	return len(carrying) > 0
}

// checkCredential refuses a document with a mutation that carries a credential unless it
// stands alone: the document could be undone, and the count of attempts with it. A dry run
// would tell whether a password is right, and a kept answer would keep the secret.
func (r *request) checkCredential(operation *ast.OperationDefinition) error {
	carrying, all := credentialFields(operation)
	switch {
	case len(carrying) == 0:
		return nil
	case all > 1:
		return refuseDocument("%s carries a secret, so that it stands alone in its document.", carrying[0])
	case isDryRun(operation):
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
func (r *request) withVisit(ctx context.Context) context.Context {
	address, _, err := net.SplitHostPort(r.http.RemoteAddr)
	if err != nil {
		address = r.http.RemoteAddr
	}
	r.visit = signin.Visit{Address: address, UserAgent: r.http.Header.Get("User-Agent"), Browser: isBrowser(r.http.Header)}
	return signin.WithVisit(ctx, &r.visit)
}

// isBrowser reports whether a page sent the request, which gets the session as a cookie.
func isBrowser(h http.Header) bool { return h.Get("Origin") != "" }

// endVisit gives the browser the session that the request has started, or takes the one
// that it has ended.
func (r *request) endVisit() {
	switch cookies := r.handler.options.Cookies; {
	case r.visit.Started != nil && r.visit.Browser:
		cookies.Set(r.writer, r.visit.Secret, r.visit.Started.ExpiresAt)
	case r.visit.Ended && r.visit.Browser:
		cookies.Clear(r.writer)
	}
}
