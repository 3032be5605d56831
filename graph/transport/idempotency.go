package transport

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

// repeatable is a mutation with an Idempotency-Key: the client may send it again
// under the same key
// (draft-ietf-httpapi-idempotency-key-header). Whichever request comes first is
// carried out, and all get its answer, byte for byte.
//
// The answer is written before the transaction ends and kept in it: everything that
// it says is known by then.
type repeatable struct {
	key   idempotency.Request
	write func(data []byte, revision string) []byte
	// answer is the first request's, as write made it; nil if there is none to keep.
	answer []byte
	// conflict is why there is no answer under the key: it belongs to another request,
	// or its answer was erased. Else it is nil.
	conflict error
}

// readIdempotencyKey reads the Idempotency-Key of the request. It returns nil where a
// second request does no harm: for queries, for @dryRun, and without a credential,
// with which no mutation succeeds.
func (r *request) readIdempotencyKey(operation *graphql.OperationContext) (*repeatable, error) {
	keys := r.http.Header["Idempotency-Key"]
	if len(keys) == 0 || operation.Operation.Operation != ast.Mutation {
		return nil, nil
	}
	if len(keys) > 1 {
		return nil, problem.New(problem.Invalid, "There is more than one Idempotency-Key.")
	}
	// The document as it is, however the client named it; extensions add nothing.
	asked, err := json.Marshal([]any{operation.RawQuery, operation.Operation.Name, operation.Variables})
	if err != nil {
		return nil, err
	}
	key, err := idempotency.NewRequest(r.credential, secret.New(keys[0]), sha256.Sum256(asked))
	if err != nil || r.credential.Empty() || isDryRun(operation.Operation) {
		return nil, err
	}
	return &repeatable{key: key, write: func(data []byte, revision string) []byte {
		return r.appendAnswer([]byte{byte(r.media)}, nil, data, revision)
	}}, nil
}

// serve runs the operation after all requests of this server that came earlier
// with the same key.
func (i *repeatable) serve(ctx context.Context, h *Handler, run func(context.Context) (*graphql.Response, error)) (*graphql.Response, error) {
	if err := h.sameKey.Enter(ctx, i.key.Name()); err != nil {
		return nil, refuseBusy(err)
	}
	defer h.sameKey.Leave(i.key.Name())
	response, err := run(context.WithValue(ctx, repeatableKey{}, i))
	if i.conflict != nil {
		return nil, &refusal{status: http.StatusConflict, cause: i.conflict}
	}
	return response, err
}

type repeatableKey struct{}

func repeatableOf(ctx context.Context) *repeatable {
	i, _ := ctx.Value(repeatableKey{}).(*repeatable)
	return i
}

// run runs a mutation document unless it was run before under its key.
func (i *repeatable) run(ctx context.Context, d *directory.Directory, run execute.Run) (err error) {
	// Before anything is read, as always.
	position := d.Position()
	var data []byte
	i.answer, err = d.Idempotently(ctx, &i.key,
		func(ctx context.Context) (err error) { data, err = run(ctx); return err },
		func(written db.Revision) []byte { return i.write(data, position.With(written).String()) })
	if i.conflict = nil; errors.Is(err, idempotency.ErrOtherRequest) || errors.Is(err, idempotency.ErrErased) {
		i.conflict = err
	}
	return err
}

// repeat sends the answer of the first request.
func (r *request) repeat(answer []byte) {
	r.media = mediaType(answer[0])
	r.write(http.StatusOK, answer[1:])
}
