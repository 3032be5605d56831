package transport

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

// refusal says why a request is not carried out, and how to say so over HTTP.
type refusal struct {
	status int
	cause  error
	// ofDocument is true if the request was well-formed and its document or
	// variables are at fault.
	ofDocument bool
	// allow are the methods to use instead.
	allow string
	// retryAfter is how long to wait before another try; 0 if it is of no use.
	retryAfter time.Duration
	// requested and limit say how much there was, and how much is allowed.
	requested, limit int
}

// Error returns the cause's message.
func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap returns the cause.
func (r *refusal) Unwrap() error { return r.cause }

// refuse answers a request that did not become an operation: there is no data.
func (r *request) refuse(err error) {
	shown, refused := r.handler.errors.refusal(r.ctx, err)
	r.noteDenials(shown)
	r.setHeaders(&refused)
	if refused.ofDocument && r.media == legacy {
		refused.status = http.StatusOK
	}
	body := append(appendErrors([]byte{'{'}, shown), ',')
	r.write(refused.status, r.appendExtensions(body, r.handler.directory.Position().String()))
}

// setHeaders sets the headers that belong to a status.
func (r *request) setHeaders(refused *refusal) {
	header := r.writer.Header()
	switch {
	case refused.status == http.StatusUnauthorized:
		header["Www-Authenticate"] = []string{`Bearer realm="roster"`}
	case refused.allow != "":
		header["Allow"] = []string{refused.allow}
	case refused.status == statusMalformed && r.http.ProtoMajor == 1:
		// A malformed request may have begun or ended elsewhere than this server thinks:
		// nothing that follows on the connection is read.
		header["Connection"] = []string{"close"}
	}
	if refused.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(seconds(refused.retryAfter))}
	}
}

// seconds returns d in whole seconds, rounded up, as Retry-After has it.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// answer sends the answer of an operation. Its data is JSON already, and is sent as
// it is. If the operation lacks something only because the database is away, the
// status says so, which proxies and clients know: it is to be sent again. If all of it
// failed, the status says so to clients that know the native media type.
func (r *request) answer(response *graphql.Response) {
	r.noteDenials(response.Errors)
	if len(response.Errors) == 0 && r.visit != nil {
		r.handler.options.Cookies.End(r.writer, r.visit)
	}
	r.meter.chargeAnswer(len(response.Data))
	pooled := buffers.Get().(*[]byte)
	revision, _ := response.Extensions["revision"].(string)
	body := r.appendAnswer((*pooled)[:0], response.Errors, response.Data, revision)
	status := http.StatusOK
	switch {
	case isUnavailable(response.Errors):
		status = http.StatusServiceUnavailable
	case string(response.Data) == "null" && r.media == native && namesNative(r.http.Header["Accept"]):
		status = statusOf(response.Errors[0])
	}
	r.setHeaders(&refusal{status: status, retryAfter: retryAfter(response.Errors)})
	r.write(status, body)
	if cap(body) <= maxPooled {
		*pooled = body
		buffers.Put(pooled)
	}
}

// appendAnswer appends the answer of an operation.
func (r *request) appendAnswer(body []byte, errs gqlerror.List, data []byte, revision string) []byte {
	body = append(body, '{')
	if len(errs) > 0 {
		body = append(appendErrors(body, errs), ',')
	}
	body = append(append(append(body, `"data":`...), data...), ',')
	return r.appendExtensions(body, revision)
}

// appendExtensions ends an answer with what every answer has: the revision that it
// has seen and, unless the request was refused before anybody could be charged for
// it, what it cost.
func (r *request) appendExtensions(body []byte, revision string) []byte {
	body = append(append(append(body, `"extensions":{"revision":"`...), revision...), '"')
	if r.meter.account.Limit > 0 {
		body = r.meter.append(append(body, ','))
	}
	return append(body, "}}"...)
}

// buffers are for answers, since large ones would be most of the garbage.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled is the size of the largest buffer that is kept for another answer.
const maxPooled = 1 << 20

// maxErrorBytes is how much of an answer errors may take.
const maxErrorBytes = 60 << 10

// appendErrors appends as many of errs, which are at most maxErrors, as there is room
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

func (r *request) write(status int, body []byte) {
	h := r.writer.Header()
	h["Content-Type"] = contentTypes[r.media]
	h["Cache-Control"] = noStore
	h["X-Content-Type-Options"] = noSniff
	h["Content-Length"] = []string{strconv.Itoa(len(body))} // else long answers go in chunks
	r.writer.WriteHeader(status)
	_, _ = r.writer.Write(body)
}
