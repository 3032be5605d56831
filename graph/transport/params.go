package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"roster/problem"
)

// readText returns the body or, of a GET, the query of the address.
func (r *request) readText() (text []byte, err error) {
	if r.http.Method == http.MethodPost {
		text, err = r.readBody()
	} else {
		text = []byte(r.http.URL.RawQuery)
	}
	r.size = len(text)
	return text, err
}

// readBody reads no more than maxBody; when there is more, the connection is
// closed. If it fails, it returns what it has read so far with the error.
func (r *request) readBody() ([]byte, error) {
	limited := http.MaxBytesReader(r.writer, r.http.Body, maxBody)
	var body bytes.Buffer
	body.Grow(int(max(0, min(r.http.ContentLength, smallBody))) + bytes.MinRead)
	n, err := body.ReadFrom(io.LimitReader(limited, smallBody))
	if err == nil && n == smallBody {
		if !r.acquireBody() {
			return nil, refuseBusy(nil)
		}
		body.Grow(int(max(0, r.http.ContentLength-smallBody)) + bytes.MinRead)
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

// acquireBody takes the memory of a large body until releaseBody. It reports
// whether there is that much.
func (r *request) acquireBody() bool {
	size := r.http.ContentLength
	if size < 0 {
		size = maxBody
	}
	leave, ok := r.handler.bodies.TryEnter(r.ctx, size)
	if ok {
		r.releaseBody = leave
	}
	return ok
}

// requestParams are what a request asks for, before the document is known.
type requestParams struct {
	graphql.RawParams
	// documentID names a document: "sha256:" and the hash, or another id (GraphQL
	// over HTTP). Apollo's clients say it in extensions.persistedQuery.
	documentID string
}

// readParams reads the operation that the request asks for out of its text.
func (r *request) readParams(text []byte) (*graphql.RawParams, error) {
	read := readJSON
	if r.http.Method != http.MethodPost {
		read = readAddress
	}
	params, err := read(text)
	if err != nil {
		return nil, err
	}
	if err := r.handler.documents.resolve(params, r.clients()); err != nil {
		return nil, err
	}
	return &params.RawParams, checkParams(&params.RawParams)
}

// readJSON reads a body. The parameters and their types are GraphQL over HTTP's;
// other names are reserved there and ignored here. No name may occur twice: a
// firewall that looked at the request might have seen the other one.
func readJSON(body []byte) (*requestParams, error) {
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
	params := &requestParams{}
	var wrong problem.List
	takeParam(object, "query", &params.Query, "text", &wrong)
	takeParam(object, "operationName", &params.OperationName, "text", &wrong)
	takeParam(object, "variables", &params.Variables, "a JSON object", &wrong)
	takeParam(object, "extensions", &params.Extensions, "a JSON object", &wrong)
	takeParam(object, "documentId", &params.documentID, "text", &wrong)
	return params, wrong.Err()
}

// takeParam stores a parameter of an object. Null counts as left out.
func takeParam[T any](object map[string]any, name string, into *T, kind string, wrong *problem.List) {
	value, ok := object[name].(T)
	if object[name] != nil && !ok {
		wrong.Add(problem.Invalid, name, "Must be %s.", kind)
	}
	*into = value
}

// readAddress reads a query from the address of a GET.
func readAddress(query []byte) (*requestParams, error) {
	values, err := url.ParseQuery(string(query))
	if err != nil {
		return nil, problem.New(problem.Invalid, "The address could not be read.")
	}
	for _, all := range values {
		if len(all) > 1 {
			return nil, problem.New(problem.Invalid, "No parameter may occur twice.")
		}
	}
	params := &requestParams{documentID: values.Get("documentId")}
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

func checkParams(params *graphql.RawParams) error {
	if strings.TrimSpace(params.Query) == "" {
		return problem.At(problem.Invalid, "query", "There is no query.")
	}
	if !utf8.ValidString(params.Query) || hasLoneSurrogate(params.Query) {
		return problem.At(problem.Invalid, "query", "The query is not Unicode text.")
	}
	return nil
}
