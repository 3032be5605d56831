// Package download is the door where the links of exports are fetched (package transfer).
//
//	GET  /exports/re_…   the file, once
//	HEAD /exports/re_…   whether there is one; it stays
package download

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"

	"roster/db"
	"roster/problem"
	"roster/queue"
	"roster/secret"
	"roster/signin/browser"
	"roster/transfer"
)

// Options are what the door needs. All are required.
type Options struct {
	Transfer *transfer.Service
	Log      *slog.Logger
}

// Handler answers requests for the files of exports.
type Handler struct {
	Options
	running *queue.Queue
}

// How many files are written at a time, how many wait, and for how long.
const (
	atATime     = 8
	waiting     = 32
	waitTimeout = 5 * time.Second
)

// writeTimeout is how long a client may take for each 64 KiB of a file. The file as a whole
// may take as long as it needs.
const writeTimeout = 30 * time.Second

// New returns the door. It compresses files for clients that take gzip (RFC 9110, 8.4.1.3).
func New(o Options) (http.Handler, error) {
	compress, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false))
	if err != nil {
		return nil, err
	}
	return compress(&Handler{o, queue.New(queue.Limits{Running: atATime, Waiting: waiting, WaitTimeout: waitTimeout})}), nil
}

// ServeHTTP answers a request. A file that cannot be written to its end is cut off, so that no
// client takes it for a whole one.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r = r.WithContext(queue.WithHolders(r.Context(), browser.Source(r))) // until it is known who asks
	shown := secret.New(strings.TrimPrefix(r.URL.Path, transfer.ExportsPath))
	var err error
	file := &file{ResponseWriter: w}
	switch r.Method {
	case http.MethodHead:
		err = h.look(r, shown)
	case http.MethodGet:
		err = h.send(file, r, shown)
	default:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
	switch {
	case err == nil:
	case file.begun:
		h.Log.WarnContext(r.Context(), "an export was cut off", "cause", err)
		panic(http.ErrAbortHandler)
	default:
		h.refuse(w, r, err)
	}
}

// look returns the problem of transfer.NoExport unless the link leads to a file.
func (h *Handler) look(r *http.Request, shown secret.Text) error {
	exists, err := h.Transfer.Exists(r.Context(), shown)
	if err == nil && !exists {
		err = transfer.NoExport()
	}
	return err
}

// send sends the file, and uses up its link.
func (h *Handler) send(w *file, r *http.Request, shown secret.Text) error {
	ctx := r.Context()
	leave, err := h.running.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	d, err := h.Transfer.Redeem(ctx, shown)
	if err != nil {
		return err
	}
	w.name, w.contentType = "users-"+d.At.Format("2006-01-02")+".csv", "text/csv; charset=utf-8; header=present" // RFC 4180
	if d.Format() == db.ExportNDJSON {
		w.name, w.contentType = "users-"+d.At.Format("2006-01-02")+".ndjson", "application/x-ndjson"
	}
	return d.Write(ctx, w)
}

// refuse answers a request that gets no file. It tells what a person can do about it.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusInternalServerError, "Internal server error."
	problems := problem.All(err)
	switch {
	case errors.Is(err, queue.ErrBusy):
		status, text = http.StatusServiceUnavailable, "Too many exports are being fetched at the moment. The link still works: try again in a few seconds."
		w.Header().Set("Retry-After", strconv.Itoa(int(waitTimeout.Seconds())))
	case problem.Is(err, problem.NotFound):
		status, text = http.StatusNotFound, problems[0].Message
	case problem.Is(err, problem.Unavailable):
		status, text = http.StatusServiceUnavailable, problems[0].Message
		w.Header().Set("Retry-After", "1")
	default:
		h.Log.ErrorContext(r.Context(), "an export failed", "cause", err)
	}
	http.Error(w, text, status)
}

// file is the body of an answer. It sets the headers when something is written, so that what
// goes wrong before can be told.
type file struct {
	http.ResponseWriter
	name, contentType string
	begun             bool
}

var _ io.Writer = (*file)(nil)

// Write writes a part of the file, for which the client has writeTimeout.
func (f *file) Write(part []byte) (int, error) {
	client := http.NewResponseController(f.ResponseWriter)
	if err := client.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	if !f.begun {
		f.begun = true
		f.Header().Set("Content-Type", f.contentType)
		f.Header().Set("Content-Disposition", `attachment; filename="`+f.name+`"`)
	}
	n, err := f.ResponseWriter.Write(part)
	if err == nil {
		err = client.Flush()
	}
	return n, err
}
