package transport

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/graph/admission"
	"roster/graph/execute"
	"roster/loaders"
	"roster/problem"
	"roster/queue"
)

// operation picks the operation of a document and reads its variables.
func (h *Handler) operation(ctx context.Context, document *admission.Document, params *graphql.RawParams) (*graphql.OperationContext, error) {
	operation := document.Operation(params.OperationName)
	if operation == nil {
		return nil, errNoOperation
	}
	variables, errs := coerceVariables(h.schema, operation, params.Variables)
	if len(errs) > 0 {
		return nil, errs
	}
	return &graphql.OperationContext{
		RawQuery: params.Query, OperationName: params.OperationName, Variables: variables, Extensions: params.Extensions,
		Headers: params.Headers, Doc: document.AST, Operation: operation,
		DisableIntrospection: !h.options.Introspection, RecoverFunc: h.errors.recoverPanic,
		ResolverMiddleware:     func(ctx context.Context, next graphql.Resolver) (any, error) { return next(ctx) },
		RootResolverMiddleware: func(ctx context.Context, next graphql.RootResolver) graphql.Marshaler { return next(ctx) },
		Stats:                  graphql.Stats{OperationStart: graphql.GetStartTime(ctx)},
	}, nil
}

var errNoOperation = gqlerror.List{{Message: "The document has no operation of the name in operationName; where there are several, one has to be named."}}

// runInTurn runs an operation when the queue lets it, if its client may still ask for
// anything then.
func (r *request) runInTurn(ctx context.Context, queue *queue.Queue, operation *graphql.OperationContext) (*graphql.Response, error) {
	leave, err := queue.Enter(ctx)
	if err != nil {
		return nil, refuseBusy(err)
	}
	defer leave()
	if ctx, err = r.authenticateAgain(ctx); err != nil {
		return nil, err
	}
	if queue == r.handler.queues.urgent {
		ctx = db.Urgently(ctx)
	}
	if operation.Operation.Operation == ast.Mutation {
		ctx = r.withVisit(ctx, operation.Operation)
	}
	return r.handler.run(ctx, operation)
}

// run runs an operation, measures it, and notes the revision that the response
// has seen.
func (h *Handler) run(ctx context.Context, operation *graphql.OperationContext) (*graphql.Response, error) {
	var committed db.Revision
	if operation.Operation.Operation == ast.Mutation {
		ctx = changes.WithCommitted(ctx, &committed)
	} else {
		ctx = loaders.WithMemory(ctx)
	}
	// Before anything is read: what is read later is no older.
	position := h.directory.Position()
	ctx, measured := h.options.Metrics.Operation(ctx, string(operation.Operation.Operation), operation.OperationName)
	next, ctx := h.executor.DispatchOperation(ctx, operation)
	response := next(ctx)
	if response == nil { // the time was over before it began
		measured.End(string(problem.Unavailable))
		return nil, refuseBusy(context.Cause(ctx))
	}
	measured.End(codesOf(response.Errors)...)
	response.Extensions = map[string]any{"revision": position.With(committed).String()}
	return response, nil
}

// runMutation runs a mutation document in one transaction, which @dryRun undoes.
func (h *Handler) runMutation(ctx context.Context, run execute.Run) error {
	if i := repeatableOf(ctx); i != nil {
		return i.run(ctx, h.directory, run)
	}
	plainly := func(ctx context.Context) error { _, err := run(ctx); return err }
	if h.carriesCredential(graphql.GetOperationContext(ctx)) {
		return plainly(ctx) // it has transactions of its own
	}
	if isDryRun(graphql.GetOperationContext(ctx).Operation) {
		return h.directory.Writer.DryRun(ctx, plainly)
	}
	return h.directory.Writer.Atomically(ctx, plainly)
}

// lockAhead locks what a mutation document names before its first field runs.
func (h *Handler) lockAhead(ctx context.Context, fields []execute.MutationField) error {
	if !db.HasTx(ctx) {
		return nil
	}
	mutations := make([]directory.Mutation, len(fields))
	for i, f := range fields {
		mutations[i] = directory.Mutation{Name: f.Name, Input: f.Args["input"]}
	}
	return h.directory.LockAhead(ctx, mutations)
}

func isDryRun(operation *ast.OperationDefinition) bool {
	return operation.Directives.ForName("dryRun") != nil
}
