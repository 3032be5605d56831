package telemetry

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"
)

// exchange is one request and its answer, which it passes on and takes note of.
type exchange struct {
	http.ResponseWriter
	metrics  *Metrics
	log      *slog.Logger
	request  *http.Request
	id       string
	began    time.Duration
	status   int   // 0 until the header is written
	bytes    int64 // of the body
	streamed bool  // it was flushed, or taken over
	hijacked bool
}

// Unwrap lets http.ResponseController reach deadlines and full duplex.
func (e *exchange) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// WriteHeader notes the first status that is final: 100 to 199 come before one,
// except for 101, which switches to another protocol.
func (e *exchange) WriteHeader(status int) {
	if e.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		e.status = status
	}
	e.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (e *exchange) Write(body []byte) (int, error) {
	e.begin()
	n, err := e.ResponseWriter.Write(body)
	e.bytes += int64(n)
	return n, err
}

// Flush is for those who ask for an http.Flusher.
func (e *exchange) Flush() { _ = e.FlushError() }

// FlushError is for http.ResponseController.
func (e *exchange) FlushError() error {
	e.begin()
	e.streamed = true
	return http.NewResponseController(e.ResponseWriter).Flush()
}

// Hijack is for websockets, whose libraries ask for an http.Hijacker.
func (e *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(e.ResponseWriter).Hijack()
	if err == nil {
		e.streamed, e.hijacked = true, true
		if e.status == 0 {
			e.status = http.StatusSwitchingProtocols
		}
	}
	return conn, buffer, err
}

// begin notes that the header is sent, which is 200 where none was chosen.
func (e *exchange) begin() {
	if e.status == 0 {
		e.status = http.StatusOK
	}
}

// end is deferred, since it recovers panics.
func (e *exchange) end() {
	abort := false
	if cause := recover(); cause != nil {
		abort = e.panicked(cause)
	}
	e.begin()
	took := now() - e.began
	e.metrics.requests.measure(e.request.Method, e.status, took, e.streamed)
	if ctx := e.request.Context(); e.log.Enabled(ctx, slog.LevelDebug) {
		// The path alone: the query string may hold variables and sign-in codes.
		e.log.LogAttrs(ctx, slog.LevelDebug, "request",
			slog.String("method", e.request.Method), slog.String("path", e.request.URL.Path),
			slog.Int("status", e.status), slog.String("took", took.String()), slog.Int64("bytes", e.bytes))
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

// panicked answers 500 while nothing has been sent. When something has, the
// connection must be aborted, lest the client takes half an answer for a whole.
func (e *exchange) panicked(cause any) (abort bool) {
	begun := e.status != 0
	//nolint:errorlint // the value itself is the sign, as in net/http
	if cause == http.ErrAbortHandler { // meant so, and not worth a line
		begun = true
	} else {
		e.log.ErrorContext(e.request.Context(), "panic", "cause", cause, "stack", string(debug.Stack()))
	}
	if e.hijacked { // whoever took the connection over has to close it
		return false
	}
	if !begun {
		e.writeInternal()
	}
	e.status = http.StatusInternalServerError // for the metrics, whatever was sent
	return begun
}

// writeInternal answers as the graph does of its own faults.
func (e *exchange) writeInternal() {
	h := e.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name) // the handler meant them for its own body
	}
	h.Set("Content-Type", "application/graphql-response+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	e.WriteHeader(http.StatusInternalServerError)
	// Characters of ids need no escape in JSON.
	_, _ = io.WriteString(e, `{"errors":[{"message":"Internal server error.","extensions":{"code":"INTERNAL","requestId":"`+e.id+`"}}]}`)
}
