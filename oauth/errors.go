package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"roster/changes"
	"roster/db"
	"roster/problem"
	"roster/queue"
	"roster/signin"
)

// The codes of errors (RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core, 3.1.2.6; RFC 8707, 2).
const (
	invalidRequest       = "invalid_request"
	invalidClient        = "invalid_client"
	invalidGrant         = "invalid_grant"
	invalidTarget        = "invalid_target"
	unauthorizedClient   = "unauthorized_client"
	unsupportedGrant     = "unsupported_grant_type"
	unsupportedResponse  = "unsupported_response_type"
	unsupportedTokenType = "unsupported_token_type"
	accessDenied         = "access_denied"
	loginRequired        = "login_required"
	interactionRequired  = "interaction_required"
	serverError          = "server_error"
	unavailable          = "temporarily_unavailable"
)

// oauthError is an error as applications see it.
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`

	status int
}

// Error returns code and description.
func (e *oauthError) Error() string { return e.Code + ": " + e.Description }

// failure returns an error of the application's.
func failure(code, description string) *oauthError {
	return &oauthError{Code: code, Description: describable(description), status: http.StatusBadRequest}
}

// describable returns the text in the characters that a description may have (RFC 6749,
// 5.2).
func describable(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

// errorOf returns what applications see of an error. Others than those that they have
// caused are in the log.
func (h *Handler) errorOf(ctx context.Context, err error) *oauthError {
	if own, ok := errors.AsType[*oauthError](err); ok {
		return own
	}
	switch {
	case errors.Is(err, signin.ErrGrant):
		return failure(invalidGrant, err.Error())
	case errors.Is(err, signin.ErrTarget):
		return failure(invalidTarget, err.Error())
	case errors.Is(err, signin.ErrNotRevocable):
		return failure(unsupportedTokenType, err.Error())
	}
	err = db.Problem(err)
	if all := problem.All(err); len(all) > 0 && all[0].Kind != problem.Unavailable && all[0].Kind != problem.Internal {
		return failure(accessDenied, all[0].Message)
	}
	switch {
	case problem.Is(err, problem.Unavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, queue.ErrBusy),
		db.Contended(err), errors.Is(err, changes.ErrActorLocked):
		h.Log.WarnContext(ctx, "unavailable", "door", "oauth", "cause", err)
		return &oauthError{unavailable, "There is too much to do at the moment. Try again in a second.", http.StatusServiceUnavailable}
	}
	h.Log.ErrorContext(ctx, "internal error", "door", "oauth", "cause", err)
	return &oauthError{serverError, "Something went wrong on our side.", http.StatusInternalServerError}
}

// fail answers a request of an application with an error.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := h.errorOf(r.Context(), err)
	h.noteDenied(r, e)
	switch e.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", strconv.Itoa(1))
	case http.StatusUnauthorized:
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="roster"`)
		}
	}
	answer(w, e.status, e)
}

// noteDenied counts and logs an error by which a client is denied something, as opposed to a
// request that is wrong.
func (h *Handler) noteDenied(r *http.Request, e *oauthError) {
	switch {
	case e.status == http.StatusUnauthorized:
		h.Denied(r.Context(), r, "oauth", problem.Unauthenticated)
	case e.status == http.StatusForbidden, e.Code == accessDenied:
		h.Denied(r.Context(), r, "oauth", problem.Forbidden)
	}
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // only the connection can fail
}
