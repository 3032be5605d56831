package telemetry

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// responseRecorder passes the response to one request on, and records its status
// and size.
type responseRecorder struct {
	http.ResponseWriter
	metrics  *Metrics
	log      *slog.Logger
	request  *http.Request
	id       string
	began    time.Duration
	status   int   // 0 until the header is written
	bytes    int64 // of the body
	streamed bool  // it was flushed or hijacked
	hijacked bool
}

// Unwrap lets http.ResponseController set deadlines and full duplex.
func (w *responseRecorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader records the first final status. 100 to 199 are not final, except 101,
// which switches to another protocol.
func (w *responseRecorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes the bytes and counts them.
func (w *responseRecorder) Write(body []byte) (int, error) {
	w.setDefaultStatus()
	n, err := w.ResponseWriter.Write(body)
	w.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *responseRecorder) Flush() { _ = w.FlushError() }

// FlushError flushes for http.ResponseController.
func (w *responseRecorder) FlushError() error {
	w.setDefaultStatus()
	w.streamed = true
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker, which libraries for websockets ask for.
func (w *responseRecorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.streamed, w.hijacked = true, true
		if w.status == 0 {
			w.status = http.StatusSwitchingProtocols
		}
	}
	return conn, buffer, err
}

// setDefaultStatus sets the status to 200 if none was written.
func (w *responseRecorder) setDefaultStatus() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}

// end measures and logs the request. Defer it, because it recovers panics.
func (w *responseRecorder) end() {
	abort := false
	if cause := recover(); cause != nil {
		abort = w.handlePanic(cause)
	}
	w.setDefaultStatus()
	took := now() - w.began
	w.metrics.requests.measure(w.request.Method, w.status, took, w.streamed)
	if ctx := w.request.Context(); w.log.Enabled(ctx, slog.LevelDebug) {
		w.log.LogAttrs(ctx, slog.LevelDebug, "request",
			slog.String("method", w.request.Method), slog.String("path", loggedPath(w.request.URL.Path)),
			slog.Int("status", w.status), slog.String("took", took.String()), slog.Int64("bytes", w.bytes))
	}
	if abort {
		panic(http.ErrAbortHandler)
	}
}

// maxLogged is the longest part of a path that is logged, in bytes. The parts of our own paths
// are shorter, but for the secrets of links.
const maxLogged = 40

// loggedPath returns a path as it is logged: without its long parts, which may be secrets. The
// query string is not logged at all, since it may contain variables and sign-in codes.
func loggedPath(path string) string {
	if len(path) <= maxLogged {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if len(part) > maxLogged {
			parts[i] = "***"
		}
	}
	return strings.Join(parts, "/")
}

// handlePanic answers 500 if nothing has been sent. Otherwise it reports that the
// connection must be aborted, so that the client does not take half an answer for
// a whole one.
func (w *responseRecorder) handlePanic(cause any) (abort bool) {
	begun := w.status != 0
	//nolint:errorlint // the value itself is the sign, as in net/http
	if cause == http.ErrAbortHandler { // deliberate, and not worth a log line
		begun = true
	} else {
		w.log.ErrorContext(w.request.Context(), "panic", "cause", cause, "stack", string(debug.Stack()))
	}
	if w.hijacked { // whoever hijacked the connection has to close it
		return false
	}
	if !begun {
		w.writeInternal()
	}
	w.status = http.StatusInternalServerError // for the metrics, whatever was sent
	return begun
}

// writeInternal answers like package graph does for internal errors.
func (w *responseRecorder) writeInternal() {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name) // the handler set them for its own body
	}
	h.Set("Content-Type", "application/graphql-response+json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusInternalServerError)
	// The characters of ids need no escape in JSON.
	_, _ = io.WriteString(w, `{"errors":[{"message":"Internal server error.","extensions":{"code":"INTERNAL","requestId":"`+w.id+`"}}]}`)
}
