package graph

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"roster/problem"
)

// The statuses of requests that never became an operation.
const (
	statusMalformed     = http.StatusBadRequest
	statusUnprocessable = http.StatusUnprocessableEntity
	statusTooMany       = http.StatusTooManyRequests
)

// maxBody is the most that a request may send, in bytes.
const maxBody = 4 << 20

// checkHeader looks at what the header says of the request: its method, what it
// accepts, and how its body is written.
func (x *exchange) checkHeader() error {
	media, acceptable := negotiated(x.request.Header["Accept"])
	x.media = media
	for _, name := range []string{"Authorization", "Content-Type"} {
		if len(x.request.Header[name]) > 1 { // as with names in JSON, another reader might take the other one
			return problem.New(problem.Invalid, "There is more than one header %s.", name)
		}
	}
	switch {
	case x.request.Method != http.MethodPost && x.request.Method != http.MethodGet && x.request.Method != http.MethodHead:
		return notAllowed("GET, HEAD, POST", "Send operations by POST, or queries by GET.")
	case !acceptable:
		return &refusal{
			status: http.StatusNotAcceptable,
			cause:  problem.New(problem.Invalid, "Answers are application/graphql-response+json or application/json, in UTF-8."),
		}
	case x.request.Method == http.MethodPost:
		return checkContent(x.request)
	case !preflighted(x.request.Header):
		return problem.New(problem.Invalid, "A query by GET needs the header X-GraphQL-Preflight: 1.")
	}
	return nil
}

// notAllowed refuses a method (RFC 9110, 15.5.6).
func notAllowed(allow, message string) error {
	return &refusal{status: http.StatusMethodNotAllowed, allow: allow, cause: problem.New(problem.Invalid, "%s", message)}
}

// checkContent holds a body to JSON: a page of another origin cannot send that
// without asking first, so that such a request is never forged (CSRF). What is
// known to be too large is not read at all.
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

// preflighted tells whether the request has a header that a page of another
// origin cannot set without asking first (CSRF).
func preflighted(h http.Header) bool {
	return h.Get("X-GraphQL-Preflight") != "" || h.Get("Apollo-Require-Preflight") != "" || h.Get("X-Apollo-Operation-Name") != ""
}

// readParams reads the operation that a request asks for out of its text.
func (x *exchange) readParams(text []byte) (*graphql.RawParams, error) {
	read := readJSON
	if x.request.Method != http.MethodPost {
		read = readAddress
	}
	params, err := read(text)
	if err != nil {
		return nil, err
	}
	if err := x.handler.known.find(params, x.clients()); err != nil {
		return nil, err
	}
	return &params.RawParams, checkParams(&params.RawParams)
}

// readText reads the body; of a GET, the query of its address.
func (x *exchange) readText() (text []byte, err error) {
	if x.request.Method == http.MethodPost {
		text, err = x.readBody()
	} else {
		text = []byte(x.request.URL.RawQuery)
	}
	x.size = len(text)
	return text, err
}

// smallBody is how much of a body is read without asking whether there is room:
// those who send much slowly take it from each other only.
const smallBody = 64 << 10

// readBody reads no more than a body may have; the connection is closed when
// there is more. It gives what it has read also when it fails.
func (x *exchange) readBody() ([]byte, error) {
	limited := http.MaxBytesReader(x.writer, x.request.Body, maxBody)
	var body bytes.Buffer
	body.Grow(int(max(0, min(x.request.ContentLength, smallBody))) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(limited, smallBody))
	if err == nil && n == smallBody {
		if !x.takeRoom() {
			return nil, busy(nil)
		}
		body.Grow(int(max(0, x.request.ContentLength-smallBody)) + bytes.MinRead)
		_, err = body.ReadFrom(limited)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return body.Bytes(), errTooLarge
	}
	if err != nil {
		return body.Bytes(), problem.New(problem.Invalid, "The body could not be read.")
	}
	return body.Bytes(), nil
}

// takeRoom takes up the memory of a large body, until the exchange ends.
func (x *exchange) takeRoom() bool {
	size := x.request.ContentLength
	if size < 0 {
		size = maxBody
	}
	if !x.handler.bodies.Take(size) {
		return false
	}
	x.room = size
	return true
}

// readJSON reads a body. The parameters and their types are those of GraphQL
// over HTTP; others are reserved by it and passed over. No name may occur twice:
// who looks at requests on their way, such as a firewall, might have seen the
// other one.
func readJSON(body []byte) (*asked, error) {
	value, err := parseJSON(body)
	if err != nil {
		return nil, err
	}
	if _, batch := value.([]any); batch {
		return nil, problem.New(problem.Invalid, "Batches are not answered: send one operation in each request.")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, problem.New(problem.Invalid, "The body is not a JSON object with query, variables and operationName.")
	}
	params := &asked{}
	var wrong problem.List
	take(object, "query", &params.Query, "text", &wrong)
	take(object, "operationName", &params.OperationName, "text", &wrong)
	take(object, "variables", &params.Variables, "a JSON object", &wrong)
	take(object, "extensions", &params.Extensions, "a JSON object", &wrong)
	take(object, "documentId", &params.documentID, "text", &wrong)
	return params, wrong.Err()
}

// take takes a parameter out of an object; null is as good as none.
func take[T any](object map[string]any, name string, into *T, kind string, wrong *problem.List) {
	value, ok := object[name].(T)
	if object[name] != nil && !ok {
		wrong.Add(problem.Invalid, name, "Must be %s.", kind)
	}
	*into = value
}

func checkParams(params *graphql.RawParams) error {
	if strings.TrimSpace(params.Query) == "" {
		return problem.At(problem.Invalid, "query", "There is no query.")
	}
	if !utf8.ValidString(params.Query) || hasLoneSurrogate(params.Query) {
		return problem.At(problem.Invalid, "query", "The query is not Unicode text.")
	}
	return nil
}

// readAddress reads a query from the address of a GET.
func readAddress(query []byte) (*asked, error) {
	values, err := url.ParseQuery(string(query))
	if err != nil {
		return nil, problem.New(problem.Invalid, "The address could not be read.")
	}
	for _, all := range values {
		if len(all) > 1 {
			return nil, problem.New(problem.Invalid, "No parameter may occur twice.")
		}
	}
	params := &asked{documentID: values.Get("documentId")}
	params.Query, params.OperationName = values.Get("query"), values.Get("operationName")
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		if text := values.Get(name); text != "" {
			value, err := parseJSON([]byte(text))
			object, ok := value.(map[string]any)
			if err != nil || !ok && value != nil {
				return nil, problem.At(problem.Invalid, name, "Must be a JSON object.")
			}
			*into = object
		}
	}
	return params, nil
}
