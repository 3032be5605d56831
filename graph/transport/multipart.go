package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/problem"
	"roster/queue"
	"roster/transfer"
)

// A request with files is multipart/form-data (GraphQL multipart request specification, 2.0):
// a part "operations" with the body that a request without files would have, a part "map"
// that says which variables the files are, and then the files. A file is stored while it
// comes, before the operation begins, so that no transaction waits for a slow client. The
// operation gets its name.

const (
	// maxForm is the most bytes of the part "operations", and of "map".
	maxForm = 64 << 10
	// maxFiles is the most files of a request.
	maxFiles = 10
	// uploadPause is how long a client that sends a file may send nothing.
	uploadPause = 30 * time.Second
)

// uploadLimits bound how many files come at a time. Each holds one chunk in memory.
var uploadLimits = queue.Limits{Running: 8, Waiting: 64, WaitTimeout: waitTimeout}

// isMultipart reports whether the request has files.
func isMultipart(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "multipart/form-data" && r.Method == http.MethodPost
}

// checkMultipart refuses forms that a page of another origin could have sent without asking
// first (CSRF), and those that nobody would read.
func (h *Handler) checkMultipart(r *http.Request) error {
	switch {
	case h.options.Transfer == nil:
		return &refusal{status: http.StatusUnsupportedMediaType, cause: problem.New(problem.Invalid, "Files are not taken here.")}
	case !isPreflighted(r.Header):
		return problem.New(problem.Invalid, "A request with files needs an API key or the header X-GraphQL-Preflight: 1.")
	}
	return nil
}

// readMultipart reads what the request asks for, and stores its files. It returns the
// operation with the queue that it belongs in.
func (r *request) readMultipart() (*graphql.OperationContext, *queue.Queue, error) {
	parts, err := r.http.MultipartReader()
	if err != nil {
		return nil, nil, errNoForm
	}
	text, err := r.formPart(parts, "operations")
	if err != nil {
		return nil, nil, err
	}
	mapped, err := r.formPart(parts, "map")
	if err != nil {
		return nil, nil, err
	}
	r.size = len(text)
	params, err := r.readParams(text)
	if err != nil {
		return nil, nil, err
	}
	files, err := placeFiles(params.Variables, mapped)
	if err != nil {
		return nil, nil, err
	}
	operation, queue, err := r.prepare(params)
	if err != nil {
		return nil, nil, err
	}
	if operation.Operation.Operation != ast.Mutation {
		return nil, nil, problem.New(problem.Invalid, "Only mutations take files.")
	}
	return operation, queue, r.keepFiles(parts, files)
}

var errNoForm = problem.New(problem.Invalid, "The form could not be read.")

// formPart reads the next part of the form, which must have that name.
func (r *request) formPart(parts *multipart.Reader, name string) ([]byte, error) {
	part, err := parts.NextPart()
	if err != nil {
		return nil, errNoForm
	}
	if part.FormName() != name {
		return nil, problem.New(problem.Invalid, "The parts of a form with files are operations, map, and then the files, in this order.")
	}
	var text bytes.Buffer
	n, err := text.ReadFrom(io.LimitReader(part, maxForm+1))
	switch {
	case err != nil:
		return nil, errNoForm
	case n > maxForm:
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, cause: problem.New(problem.Limited, "The part %s has at most %d bytes.", name, maxForm)}
	}
	return text.Bytes(), nil
}

// placeFiles puts a file, which is still to come, in the place of each variable that the map
// names, and returns the files by the names of their parts.
func placeFiles(variables map[string]any, text []byte) (map[string]*transfer.Upload, error) {
	value, err := parseJSON(text)
	object, ok := value.(map[string]any)
	if err != nil || !ok || len(object) == 0 || len(object) > maxFiles {
		return nil, problem.New(problem.Invalid, `The part map is a JSON object such as {"0": ["variables.input.file"]}, of at most %d files.`, maxFiles)
	}
	files := make(map[string]*transfer.Upload, len(object))
	for name, paths := range object {
		files[name] = &transfer.Upload{}
		list, _ := paths.([]any)
		if len(list) != 1 { // a file that is read by two would have to be stored twice
			return nil, problem.New(problem.Invalid, "The map names exactly one variable for each file.")
		}
		path, _ := list[0].(string)
		if !placeFile(variables, path, files[name]) {
			return nil, problem.New(problem.Invalid, "The map names a variable that is not there, or not null.")
		}
	}
	return files, nil
}

// placeFile puts the file where the path leads. It reports false unless null is there.
func placeFile(variables map[string]any, path string, file *transfer.Upload) bool {
	steps := strings.Split(path, ".")
	if steps[0] != "variables" || len(steps) < 2 {
		return false
	}
	var at any = variables
	for i, step := range steps[1:] {
		isLast := i == len(steps)-2
		switch value := at.(type) {
		case map[string]any:
			if at = value[step]; isLast && at == nil && value != nil {
				value[step] = file
				return true
			}
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil || n < 0 || n >= len(value) {
				return false
			}
			if at = value[n]; isLast && at == nil {
				value[n] = file
				return true
			}
		default:
			return false
		}
	}
	return false
}

// keepFiles stores the files as they come.
func (r *request) keepFiles(parts *multipart.Reader, files map[string]*transfer.Upload) error {
	leave, err := r.handler.uploads.Enter(r.ctx)
	if err != nil {
		return refuseBusy(err)
	}
	defer leave()
	patient := http.NewResponseController(r.writer)
	for range files {
		part, err := parts.NextPart()
		if err != nil {
			return problem.New(problem.Invalid, "A file of the map did not come.")
		}
		file := files[part.FormName()]
		if file == nil || !file.IsEmpty() {
			return problem.New(problem.Invalid, "The part %s is not in the map, or came twice.", strconv.Quote(part.FormName()))
		}
		kept, err := r.handler.options.Transfer.Keep(r.ctx, part.FileName(), &steady{part, patient})
		if err != nil {
			return err
		}
		r.files = append(r.files, kept)
		*file = *kept
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		return problem.New(problem.Invalid, "There is more in the form than the map says.")
	}
	// The answer has as long as others have.
	_ = patient.SetWriteDeadline(time.Now().Add(2 * uploadPause)) // a writer that has none is of a test
	r.ctx, err = r.authenticateAgain(r.ctx)
	return err
}

// steady reads from a client that may take its time as long as it goes on sending.
type steady struct {
	from    io.Reader
	patient *http.ResponseController
}

// Read reads from the client, which then has time for the next read.
func (s *steady) Read(p []byte) (int, error) {
	_ = s.patient.SetReadDeadline(time.Now().Add(uploadPause)) // as above
	return s.from.Read(p)
}

// dropFiles deletes the files that the operation has not taken over.
func (r *request) dropFiles() {
	for _, file := range r.files {
		if err := r.handler.options.Transfer.DropUnlessUsed(context.WithoutCancel(r.ctx), file); err != nil {
			r.handler.options.Log.WarnContext(r.ctx, "a file stays for an hour", "cause", err)
		}
	}
}
