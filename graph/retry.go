package graph

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"roster/db"
	"roster/directory"
	"roster/graph/execute"
	"roster/idempotency"
	"roster/problem"
	"roster/secret"
)

// retry is a mutation that its client may send again under the same
// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): whichever of them
// comes first is carried out, and all get its answer, byte for byte.
//
// The answer is written before the transaction ends, and kept in it: all that it
// tells is known by then.
type retry struct {
	request idempotency.Request
	write   func(data []byte, revision string) []byte
	// answer is that of whichever came first, as pack makes it; nil when there is
	// none to keep.
	answer []byte
	// other tells that the key belongs to another request.
	other bool
}

// readRetry reads the Idempotency-Key of the request. It gives nil where a second
// request does no harm: for queries, for @dryRun, and without a credential, with
// which no mutation succeeds.
func (x *exchange) readRetry(operation *graphql.OperationContext) (*retry, error) {
	keys := x.request.Header["Idempotency-Key"]
	if len(keys) == 0 || operation.Operation.Operation != ast.Mutation {
		return nil, nil
	}
	if len(keys) > 1 {
		return nil, problem.New(problem.Invalid, "There is more than one Idempotency-Key.")
	}
	// The document as it is, however it was named; extensions say no more than that.
	asked, err := json.Marshal([]any{operation.RawQuery, operation.Operation.Name, operation.Variables})
	if err != nil {
		return nil, err
	}
	request, err := idempotency.NewRequest(x.credential, secret.New(keys[0]), sha256.Sum256(asked))
	if err != nil || x.credential.Empty() || isDryRun(operation.Operation) {
		return nil, err
	}
	return &retry{request: request, write: func(data []byte, revision string) []byte {
		return x.appendAnswer([]byte{byte(x.media)}, nil, data, revision)
	}}, nil
}

// serve carries the operation out, after all others of this server that have the
// same key.
func (r *retry) serve(ctx context.Context, h *Handler, run func(context.Context) (*graphql.Response, error)) (*graphql.Response, error) {
	if err := h.retries.Enter(ctx, r.request.Name()); err != nil {
		return nil, busy(err)
	}
	defer h.retries.Leave(r.request.Name())
	response, err := run(context.WithValue(ctx, retryKey{}, r))
	if r.other {
		return nil, &refusal{status: http.StatusConflict, cause: idempotency.ErrOtherRequest}
	}
	return response, err
}

type retryKey struct{}

func retryOf(ctx context.Context) *retry {
	r, _ := ctx.Value(retryKey{}).(*retry)
	return r
}

// run is Handler.mutation for what may be a retry.
func (r *retry) run(ctx context.Context, d *directory.Directory, run execute.Run) (err error) {
	// Before anything is read, as always.
	position := d.Position()
	var data []byte
	r.answer, err = d.Idempotently(ctx, &r.request,
		func(ctx context.Context) (err error) { data, err = run(ctx); return err },
		func(written db.Revision) []byte { return r.write(data, position.With(written).String()) })
	r.other = errors.Is(err, idempotency.ErrOtherRequest)
	return err
}

// repeat sends the answer of whichever request came first.
func (x *exchange) repeat(answer []byte) {
	x.media = mediaType(answer[0])
	x.write(http.StatusOK, answer[1:])
}
