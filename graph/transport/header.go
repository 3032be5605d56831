package transport

import (
	"mime"
	"net/http"
	"strings"

	"roster/problem"
)

// checkHeader checks what the header says of the request: its method, what it
// accepts, and how its body is written.
func (r *request) checkHeader() error {
	media, acceptable := negotiate(r.http.Header["Accept"])
	r.media = media
	for _, name := range []string{"Authorization", "Content-Type", organizationHeader} {
		if len(r.http.Header[name]) > 1 { // as with names in JSON, another reader might take the other one
			return problem.New(problem.Invalid, "There is more than one header %s.", name)
		}
	}
	switch {
	case r.http.Method != http.MethodPost && r.http.Method != http.MethodGet && r.http.Method != http.MethodHead:
		return refuseMethod("GET, HEAD, POST", "Send operations by POST, or queries by GET.")
	case !acceptable:
		return &refusal{
			status: http.StatusNotAcceptable,
			cause:  problem.New(problem.Invalid, "Answers are application/graphql-response+json or application/json, in UTF-8."),
		}
	case isMultipart(r.http):
		return r.handler.checkMultipart(r.http)
	case r.http.Method == http.MethodPost:
		return checkContent(r.http)
	case !isPreflighted(r.http.Header):
		return problem.New(problem.Invalid, "A query by GET needs an API key or the header X-GraphQL-Preflight: 1.")
	}
	return nil
}

// refuseMethod refuses a method and names those to use instead (RFC 9110, 15.5.6).
func refuseMethod(allow, message string) error {
	return &refusal{status: http.StatusMethodNotAllowed, allow: allow, cause: problem.New(problem.Invalid, "%s", message)}
}

// checkContent requires that a body is JSON: a page of another origin cannot send
// JSON without asking first, so that such a request is never forged (CSRF). A body
// that is known to be too large is not read at all.
func checkContent(r *http.Request) error {
	mediaType, options, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/json" || options["charset"] != "" && !strings.EqualFold(options["charset"], "utf-8") {
		return &refusal{status: http.StatusUnsupportedMediaType, cause: problem.New(problem.Invalid, "Send application/json in UTF-8.")}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return &refusal{status: http.StatusUnsupportedMediaType, cause: problem.New(problem.Invalid, "Send the body as it is, without a Content-Encoding.")}
	}
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	return nil
}

var errTooLarge = &refusal{status: http.StatusRequestEntityTooLarge, cause: problem.New(problem.Limited, "A request has at most %d bytes.", maxBody)}

// isPreflighted reports whether the request has a header that a page of another
// origin cannot set without asking first (CSRF). Authorization is one (Fetch, 2.2.2).
func isPreflighted(h http.Header) bool {
	return h.Get("Authorization") != "" || h.Get("X-GraphQL-Preflight") != "" || h.Get("Apollo-Require-Preflight") != "" || h.Get("X-Apollo-Operation-Name") != ""
}
