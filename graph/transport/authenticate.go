package transport

import (
	"context"
	"errors"
	"strings"

	"roster/access"
	"roster/problem"
	"roster/queue"
	"roster/secret"
)

// authenticate sets the context of the request, on which everything runs on behalf
// of the credential's actor, and its meter. Without a credential there is no actor.
func (r *request) authenticate() error {
	h, authorization := r.handler, r.http.Header.Get("Authorization")
	address := addressOf(r.http.RemoteAddr)
	r.ctx = queue.WithHolders(r.ctx, address) // until it is known who asks
	if authorization == "" {
		r.meter = h.meterOfAddress(address)
		return nil
	}
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return errNoKey
	}
	credential := secret.New(strings.TrimSpace(key))
	actor, err := h.actorOf(r.ctx, credential)
	if err != nil {
		return err
	}
	r.ctx, r.credential, r.meter = queue.WithHolders(access.WithActor(r.ctx, actor), holders(actor)...), credential, h.meterOfKey(actor)
	return nil
}

var errNoKey = problem.New(problem.Unauthenticated, "Send an API key as \"Authorization: Bearer rk_…\".")

// authenticateAgain returns a context with the actor of the credential as it is now,
// after a wait: for the revision that the client asks for, for its body, or for its
// turn. It costs no statement unless something has changed.
func (r *request) authenticateAgain(ctx context.Context) (context.Context, error) {
	if r.credential.Empty() {
		return ctx, nil
	}
	actor, err := r.handler.actorOf(ctx, r.credential)
	if err != nil {
		return ctx, err
	}
	return access.WithActor(ctx, actor), nil
}

// actorOf returns the actor that a credential belongs to. If the database is needed
// for that and is too busy, it returns a refusal.
func (h *Handler) actorOf(ctx context.Context, credential secret.Text) (*access.Actor, error) {
	actor, err := h.directory.Authenticate(ctx, credential, "")
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuseBusy(err)
	}
	return actor, err
}
