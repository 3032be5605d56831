package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/changes"
	"roster/db"
	"roster/graph/admission"
	"roster/problem"
)

// The statuses of requests that did not become an operation.
const (
	statusMalformed     = http.StatusBadRequest
	statusUnprocessable = http.StatusUnprocessableEntity
	statusTooMany       = http.StatusTooManyRequests
)

// maxErrors is how many errors one answer has at most.
const maxErrors = 20

// errorPresenter turns the errors of Go into those of GraphQL. away reports whether
// nothing is heard of the database.
type errorPresenter struct {
	log  *slog.Logger
	away func() bool
}

// present returns what the client sees of an error: each problem in it, with its
// code and field. Any other error is logged with the field of the schema that it
// came from, and the client sees INTERNAL. The cause is logged, too, if the database
// is unavailable.
func (p errorPresenter) present(ctx context.Context, err error, field string, path ast.Path) []*gqlerror.Error {
	err = db.Problem(err)
	problems := problem.All(err)
	if problem.Is(err, problem.Unavailable) {
		p.log.WarnContext(ctx, "unavailable", "field", field, "path", path.String(), "cause", err)
	}
	if input, ok := errors.AsType[*gqlerror.Error](err); ok && len(problems) == 0 {
		problems = []*problem.Error{problem.At(problem.Invalid, fieldOf(input.Path), "%s", asSentence(input.Message))}
	}
	if len(problems) == 0 {
		problems = []*problem.Error{p.internal(ctx, err, field, path)}
	}
	shown := make([]*gqlerror.Error, 0, len(problems))
	for _, one := range problems[:min(len(problems), maxErrors)] {
		shown = append(shown, &gqlerror.Error{Message: truncate(one.Message, maxMessage), Path: path, Extensions: extensions(ctx, one.Kind, truncate(one.Field, maxField))})
		wait := one.RetryAfter
		if one == errContended || one.Kind == problem.Unavailable {
			wait = max(wait, time.Second)
		}
		if wait > 0 {
			shown[len(shown)-1].Extensions["retryAfter"] = seconds(wait)
		}
	}
	return shown
}

// errContended answers a document that lost against others each time that it was
// run, or waited too long for them.
var errContended = problem.New(problem.Limited, "Others were changing the same things all the while. Try again in a second.")

// errSilent answers an operation whose time was over while the database owed it an
// answer.
var errSilent = problem.New(problem.Unavailable, "The database did not answer in time. Try again in a second.")

func (p errorPresenter) internal(ctx context.Context, err error, field string, path ast.Path) *problem.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		if p.away() {
			return errSilent
		}
		return problem.New(problem.Limited, "The operation took too long, and was ended.")
	}
	if db.Contended(err) || errors.Is(err, changes.ErrActorLocked) {
		return errContended
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) { // of the request, or of an interrupted transaction
		p.log.DebugContext(ctx, "request ended before its answer", "cause", err)
	} else {
		p.log.ErrorContext(ctx, "internal error", "field", field, "path", path.String(), "cause", err)
	}
	return problem.New(problem.Internal, "Internal server error.")
}

// extensions returns the extensions that every error has.
func extensions(ctx context.Context, kind problem.Kind, field string) map[string]any {
	all := map[string]any{"code": string(kind), "requestId": changes.RequestID(ctx)}
	if field != "" {
		all["field"] = field
	}
	return all
}

// refusal returns what the client sees of the error that a request is refused for,
// and how to send it.
func (p errorPresenter) refusal(ctx context.Context, err error) (gqlerror.List, refusal) {
	switch err := err.(type) { //nolint:errorlint // none of these is ever wrapped
	case *refusal:
		shown := p.present(ctx, err.cause, "", nil)
		for _, one := range shown {
			one.Extensions = err.extend(one.Extensions)
		}
		return shown, *err
	case *admission.Refusal:
		return notAdmitted(ctx, err)
	case gqlerror.List:
		return ofDocument(ctx, err), refusal{status: statusUnprocessable, ofDocument: true}
	}
	shown := p.present(ctx, err, "", nil)
	switch {
	case problem.Is(err, problem.Unauthenticated):
		return shown, refusal{status: http.StatusUnauthorized}
	case problem.Is(err, problem.Forbidden):
		return shown, refusal{status: http.StatusForbidden}
	case isUnavailable(shown):
		return shown, refusal{status: http.StatusServiceUnavailable, retryAfter: time.Second}
	case len(problem.All(err)) > 0:
		return shown, refusal{status: statusMalformed}
	}
	return shown, refusal{status: http.StatusInternalServerError}
}

// extend adds to all what the refusal knows of limits.
func (r *refusal) extend(all map[string]any) map[string]any {
	if r.requested > 0 {
		all["requested"], all["limit"] = r.requested, r.limit
	}
	if r.retryAfter > 0 {
		all["retryAfter"] = seconds(r.retryAfter)
	}
	return all
}

// notAdmitted is refusal for a document that was not admitted.
func notAdmitted(ctx context.Context, err *admission.Refusal) (gqlerror.List, refusal) {
	shown, r := ofDocument(ctx, err.Errors), refusal{status: statusUnprocessable, ofDocument: true}
	if err.Syntax {
		r.status = statusMalformed
	}
	if err.Excess != nil {
		r.requested, r.limit = err.Excess.Requested, err.Excess.Limit
		for _, one := range shown {
			one.Extensions["code"] = string(problem.Limited)
			one.Extensions = r.extend(one.Extensions)
		}
	}
	return shown, r
}

// ofDocument returns what the client sees of errors in a document or its variables.
func ofDocument(ctx context.Context, errs gqlerror.List) gqlerror.List {
	var shown gqlerror.List
	for _, err := range errs[:min(len(errs), maxErrors)] {
		shown = append(shown, &gqlerror.Error{
			Message: asSentence(err.Message), Locations: err.Locations, Extensions: extensions(ctx, problem.Invalid, variableField(err.Path)),
		})
	}
	return shown
}

// What one error has at most, in bytes: messages quote names that people chose.
const (
	maxMessage = 2000
	maxField   = 500
)

// truncate cuts text that is longer than limit bytes.
func truncate(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// fieldOf returns the path of an input in the form of problem.Error.Field:
// "input.users.3.email".
func fieldOf(path ast.Path) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(path.String())
}

// variableField is fieldOf for the path of a variable, which begins with
// "variable".
func variableField(path ast.Path) string {
	if len(path) > 0 && path[0] == ast.PathName("variable") {
		path = path[1:]
	}
	return truncate(fieldOf(path), maxField)
}

// asSentence returns a library's message as a sentence for people.
func asSentence(message string) string {
	message = strings.TrimPrefix(strings.TrimSpace(message), "input: ")
	if message == "" {
		return "Invalid."
	}
	message = strings.ToUpper(message[:1]) + message[1:]
	if !strings.HasSuffix(message, ".") && !strings.HasSuffix(message, "?") {
		message += "."
	}
	return message
}

// errRolledBack is the error of the fields of a mutation document that did not fail
// themselves.
var errRolledBack = problem.New(problem.RolledBack, "Nothing of this was done, since another field of the document failed.")

// recoverPanic logs a panic, and returns the error that the client sees of it.
func (p errorPresenter) recoverPanic(ctx context.Context, cause any) error {
	p.log.ErrorContext(ctx, "panic", "cause", cause, "stack", string(debug.Stack()))
	return problem.New(problem.Internal, "Internal server error.")
}

var _ graphql.RecoverFunc = errorPresenter{}.recoverPanic

// isUnavailable reports whether the request may succeed when it is sent again as it
// is.
func isUnavailable(errs gqlerror.List) bool {
	return slices.Contains(codesOf(errs), string(problem.Unavailable))
}

// codesOf returns the codes of errs.
func codesOf(errs gqlerror.List) (codes []string) {
	for _, err := range errs {
		code, _ := err.Extensions["code"].(string)
		codes = append(codes, code)
	}
	return codes
}

// retryAfter returns how long to wait before the request is sent again; 0 if that is of
// no use.
func retryAfter(errs gqlerror.List) time.Duration {
	for _, err := range errs {
		if wait, ok := err.Extensions["retryAfter"].(int); ok {
			return time.Duration(wait) * time.Second
		}
	}
	return 0
}

// statusOf returns the status of an operation that failed as a whole, by its first
// error (docs/decisions/0014-statuses-of-failures.md).
func statusOf(err *gqlerror.Error) int {
	code, _ := err.Extensions["code"].(string)
	switch problem.Kind(code) {
	case problem.Unauthenticated:
		return http.StatusUnauthorized
	case problem.Forbidden, problem.Escalation:
		return http.StatusForbidden
	case problem.Conflict:
		return http.StatusConflict
	case problem.Limited:
		if err.Extensions["retryAfter"] != nil {
			return statusTooMany
		}
	case problem.Internal:
		return http.StatusInternalServerError
	}
	return statusUnprocessable
}
