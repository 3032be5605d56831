package graph

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// refusal is why a request is not carried out, and how that is told over HTTP.
type refusal struct {
	status int
	cause  error
	// ofDocument tells that the request was well-formed, and what it asks for is
	// at fault.
	ofDocument bool
	// allow are the methods to use instead.
	allow string
	// retryAfter is when to try again, if ever.
	retryAfter time.Duration
	// requested and limit are those of something that there is too much of.
	requested, limit int
}

// Error is that of the cause.
func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap gives the cause.
func (r *refusal) Unwrap() error { return r.cause }

// refuse answers a request that did not become an operation: there is no data.
func (x *exchange) refuse(err error) {
	shown, r := x.handler.errors.refusal(x.ctx, err)
	header := x.writer.Header()
	switch {
	case r.status == http.StatusUnauthorized:
		header["Www-Authenticate"] = []string{`Bearer realm="roster"`}
	case r.allow != "":
		header["Allow"] = []string{r.allow}
	}
	if r.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(seconds(r.retryAfter))}
	}
	if r.ofDocument && x.media == legacy {
		r.status = http.StatusOK
	}
	body := append(appendErrors([]byte{'{'}, shown), ',')
	x.write(r.status, x.appendExtensions(body, x.handler.directory.Position().String()))
}

// seconds is a time in whole seconds, as Retry-After has it.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// answer sends the answer of an operation. Its data is JSON already, and is sent
// as it is. An operation that lacks something only because the database was away is
// to be sent again: with a status that proxies and clients know.
func (x *exchange) answer(response *graphql.Response) {
	pooled := bodies.Get().(*[]byte)
	revision, _ := response.Extensions["revision"].(string)
	body := x.appendAnswer((*pooled)[:0], response.Errors, response.Data, revision)
	status := http.StatusOK
	if isUnavailable(response.Errors) {
		status = http.StatusServiceUnavailable
		x.writer.Header()["Retry-After"] = []string{strconv.Itoa(seconds(time.Second))}
	}
	x.write(status, body)
	if cap(body) <= maxPooled {
		*pooled = body
		bodies.Put(pooled)
	}
}

// appendAnswer writes the answer of an operation.
func (x *exchange) appendAnswer(body []byte, errs gqlerror.List, data []byte, revision string) []byte {
	body = append(body, '{')
	if len(errs) > 0 {
		body = append(appendErrors(body, errs), ',')
	}
	body = append(append(append(body, `"data":`...), data...), ',')
	return x.appendExtensions(body, revision)
}

// appendExtensions ends an answer by what every answer tells: the revision that it
// has seen and, unless the request was turned away before anybody could be charged
// for it, what it cost.
func (x *exchange) appendExtensions(body []byte, revision string) []byte {
	body = append(append(append(body, `"extensions":{"revision":"`...), revision...), '"')
	if x.meter.account.Limit > 0 {
		body = x.meter.append(append(body, ','))
	}
	return append(body, "}}"...)
}

// bodies are buffers for answers, since large ones would be most of the garbage.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the size of the largest buffer that is kept for another answer.
const maxPooled = 1 << 20

// maxErrorBytes is how much of an answer errors take.
const maxErrorBytes = 60 << 10

// appendErrors writes errors, which are at most maxErrors: all that there is room
// for, and one in any case.
func appendErrors(body []byte, errs gqlerror.List) []byte {
	body = append(body, `"errors":[`...)
	begin := len(body)
	for _, err := range errs {
		text, failed := json.Marshal(err)
		if failed != nil {
			text = []byte(`{"message":"Internal server error.","extensions":{"code":"INTERNAL"}}`)
		}
		if len(body) > begin {
			if len(body)-begin+len(text) > maxErrorBytes {
				break
			}
			body = append(body, ',')
		}
		body = append(body, text...)
	}
	return append(body, ']')
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

func (x *exchange) write(status int, body []byte) {
	h := x.writer.Header()
	h["Content-Type"] = contentTypes[x.media]
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))} // else long answers go in chunks
	x.writer.WriteHeader(status)
	_, _ = x.writer.Write(body)
}
